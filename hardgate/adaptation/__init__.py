"""Adaptation: what can be done about drift, from what needs least to what needs most.

- :mod:`~hardgate.adaptation.priors`: new shares of classes, no label needed;
- :mod:`~hardgate.adaptation.standardising`: new statistics of the inputs, no label needed;
- :mod:`~hardgate.adaptation.alignment`: new statistics of the features, no label needed;
- :mod:`~hardgate.adaptation.importance`: training again on the old rows that look like new ones, no
  label needed;
- fine-tuning on new rows that somebody has labelled: ``training.start: champion``.

The first and third change the last layer only, so that what they give is a network of the same
architecture. No architecture here has batch norm; its statistics are what
:mod:`~hardgate.adaptation.standardising` renews in the layer that does have some. What each gains
on shifted splits of the real data is measured by ``benchmarks/adaptation.py``.
"""
