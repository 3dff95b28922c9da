"""What can go wrong with a model besides being fooled: one file or package for each risk.

To add a risk: write it, then name it in the union below. Every member is a section of
``evaluation.risks`` in params.yaml, is measured by itself with ``hardgate measure MODEL RISK``, and
has

``name``
    its word in params, on the command line, and first in the names of its measurements;
``title``
    its heading in the report; the first paragraph of its docstring stands below;
``check(spec, threat)``
    a ParamsError when its settings do not fit the data;
``measure(subject, origin)``
    measurements by full name, each with its interval and sample count;
``said(name)``
    what a measurement of its own says, in words for the report.

A risk measures and does not judge: its gates do, in :mod:`hardgate.gates`. Their ``risk`` names it,
so that a policy which asks for what nobody measures is refused before the run.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hardgate.risks.drift import Drift
from hardgate.risks.explainability import Explainability
from hardgate.risks.extraction import Extraction
from hardgate.risks.newest_slice import NewestSlice
from hardgate.risks.personal_data import PersonalData
from hardgate.risks.poisoning import Poisoning
from hardgate.risks.privacy import Privacy
from hardgate.risks.uncertainty import Uncertainty

Risk = Annotated[
    Drift
    | Explainability
    | Extraction
    | NewestSlice
    | PersonalData
    | Poisoning
    | Privacy
    | Uncertainty,
    Field(discriminator="name"),
]

__all__ = [
    "Drift",
    "Explainability",
    "Extraction",
    "NewestSlice",
    "PersonalData",
    "Poisoning",
    "Privacy",
    "Risk",
    "Uncertainty",
]
