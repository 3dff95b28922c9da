"""Uncertainty: whether the model knows what it does not know.

Read :mod:`~hardgate.risks.uncertainty.risk` for what params.yaml says and what is measured, then
what it is made of:

:mod:`~hardgate.risks.uncertainty.calibrating`
    whether each class is as likely as the model says;
:mod:`~hardgate.risks.uncertainty.selecting`
    how good its answers are when it may decline the least certain;
:mod:`~hardgate.risks.uncertainty.scores`
    how an input is told from one that does not belong, and
    :mod:`~hardgate.risks.uncertainty.detector` where the line is drawn;
:mod:`~hardgate.risks.uncertainty.other_images`, :mod:`~hardgate.risks.uncertainty.other_rows`
    inputs that do not belong.
"""

from __future__ import annotations

from hardgate.risks.uncertainty.detector import Detector, look
from hardgate.risks.uncertainty.risk import Uncertainty
from hardgate.risks.uncertainty.scores import Score, Seen

__all__ = ["Detector", "Score", "Seen", "Uncertainty", "look"]
