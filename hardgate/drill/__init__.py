"""The drill of the gates: candidates that must not pass, taken through the real pipeline.

A gate that nobody has seen refusing may be one that cannot. Here, bad candidates are made on
purpose, as a mutation test makes bad programs: each must be refused, and by the gate or check that
is there for it. Good candidates of other seeds must pass, so that refusing everything is no way
out. The share of right answers is the score.

Read in this order: :mod:`materials` (small real data, and params), :mod:`cases` (what is made bad,
and who should refuse it), :mod:`result` (what came of it). ``tasks/_drilling.py`` runs it, and
``tasks/_tampering.py`` has what is done to a finished run. To add a case: write it in
:mod:`cases`; one that acts after the run has its function in ``_tampering``.
"""
