"""The risk as params.yaml has it: shadows once, then every attack on what the model remembers."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import PositiveInt

from hardgate import measurements, shadows
from hardgate.errors import ParamsError
from hardgate.measurements import MEMBERSHIPS
from hardgate.records import ImageInput, InputSpec, Measurement, Record
from hardgate.risks.privacy import attributes, audited, inversion, membership, ranking
from hardgate.risks.privacy.audited import Audited
from hardgate.risks.privacy.inversion import Inversion
from hardgate.shadows import Shadow, Shadows
from hardgate.subject import Origin, Subject
from hardgate.threat import Threat

LEAKS_SAID = {
    "auc": "area under the ROC curve",
    "tpr_at_1_percent": "named at 1 % false alarms",
    "tpr_at_0.1_percent": "named at 0.1 % false alarms",
    "shadow_auc": "the same area for a shadow, which has no defence",
}
ATTACKS_SAID = {
    "confidence": "by confidence alone",
    "lira": "by LiRA",
    "rmia": "by RMIA",
}
GAINS_SAID = {
    "membership": "the model adds, by which value looks trained on",
    "confidence": "the model adds, by which value it is surest with",
}


class Privacy(Record):
    """Rows trained on told from rows that were not, cells guessed, and images inverted.

    ``samples`` rows of each side are told apart, with shadows trained on halves of them.
    ``attributes`` counts the rows whose sensitive categories are guessed, and ``inversion`` is for
    images.
    """

    title: ClassVar[str] = "Remembered rows"

    name: Literal["privacy"]
    samples: PositiveInt
    shadows: Shadows
    attributes: PositiveInt | None = None
    inversion: Inversion | None = None

    def check(self, spec: InputSpec, threat: Threat) -> None:  # noqa: ARG002  one interface
        """Refuse what the data has not.

        Raises
        ------
        ParamsError
            If attributes are to be guessed and no sensitive column has categories, or images are to
            be inverted and there are none.
        """
        if self.attributes is not None and not self.guessed(spec):
            raise ParamsError(
                "evaluation.risks.privacy.attributes: no column is both sensitive and categorical; "
                "name one in dataset.sensitive and dataset.categorical, or remove the key"
            )
        if self.inversion is not None and not isinstance(spec, ImageInput):
            raise ParamsError(
                "evaluation.risks.privacy.inversion is for images; for a table remove the key, and "
                "set attributes"
            )

    def guessed(self, spec: InputSpec) -> tuple[str, ...]:
        """List the columns whose cells are guessed."""
        return attributes.inferred(spec) if self.attributes is not None else ()

    def measure(self, subject: Subject, origin: Origin) -> dict[str, Measurement]:
        """Train the shadows and try every attack."""
        asked = audited.choose(subject, origin, self.samples)
        made = shadows.train(
            self.shadows, origin.training, subject, asked.pool, asked.member.long()
        )
        found = _memberships(subject, asked, made)
        if self.attributes is not None:
            found |= attributes.measure(subject, asked, made, self.attributes)
        if self.inversion is not None and isinstance(subject.spec, ImageInput):
            found |= inversion.measure(self.inversion, subject, subject.spec, asked)
        return found

    def said(self, name: str) -> str:
        """Say what a measurement is of."""
        match name.split("/")[1:]:
            case "membership", attack, leak:
                return f"rows trained on, told {ATTACKS_SAID[attack]}: {LEAKS_SAID[leak]}"
            case "attribute", column, "imputed":
                return f"{column} guessed right without the model"
            case "attribute", column, attack, "gain":
                return f"what guesses of {column} gain: {GAINS_SAID[attack]}"
            case _, leak:
                return f"images trained on, told by nearness to inverted ones: {LEAKS_SAID[leak]}"
            case _:
                raise ParamsError(f"{name} is no measurement of privacy")


def _memberships(
    subject: Subject, asked: Audited, made: tuple[Shadow, ...]
) -> dict[str, Measurement]:
    """Tell members apart for the candidate, and for the first shadow as the known case."""
    saw = torch.stack([shadow.saw for shadow in made])
    watched = membership.watch(subject.model, made, asked.pool, saw, subject)
    scores = {name: score.numpy() for name, score in watched.scores().items()}
    # The first two see complements: without both, each row is still known to half of the others.
    known = membership.watch(made[0].model, made[2:], asked.pool, saw[2:], subject)
    answers = {name: score.numpy() for name, score in known.scores().items()}
    member = asked.member.numpy()
    return {
        measurements.membership(attack, leak): found
        for attack in MEMBERSHIPS
        for leak, found in ranking.measure(scores[attack], member).items()
    } | {
        measurements.shadow_membership(attack): ranking.auc(answers[attack], made[0].saw.numpy())
        for attack in MEMBERSHIPS
    }
