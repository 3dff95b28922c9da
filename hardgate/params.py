"""``params.yaml``: the whole truth about a run, read once and at the edge.

A model is one top-level section, named in ``models``. Overrides (``credit.threat.eps=0.1``) are
written into the file, as ``dvc exp run -S`` does, so that the file stays the whole truth.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PositiveInt, ValidationError

from hardgate import (
    augmentations,
    files,
    overrides,
    params_file,
    policy,
    probes,
    provenance,
    records,
    region,
)
from hardgate.attribution import Explaining
from hardgate.augmentations import Augmenting
from hardgate.comparison import Comparing, Variation
from hardgate.datasets import Dataset
from hardgate.errors import ParamsError
from hardgate.gates import Policy
from hardgate.params_file import FILE, meant
from hardgate.probes import Evaluation
from hardgate.records import InputSpec, Record
from hardgate.splits import Shares
from hardgate.threat import Threat
from hardgate.training import Training

STAGES = ("validation", "augmentation", "training", "explanation", "evaluation", "promotion")

# The sections each stage reads besides its own; dvc.yaml names the same, and a test compares.
SHARED = {
    "validation": ("seed", "dataset"),
    "augmentation": ("seed", "threat"),
    "training": ("seed", "threat"),
    "explanation": ("seed", "threat"),
    "evaluation": ("seed", "threat", "training"),  # the undefended twin is trained likewise
    "promotion": ("seed", "threat"),
}
_QUOTES = "'"  # around names in pydantic's messages


class Promotion(Record):
    """The policy, and how long its verdict holds."""

    valid_days: Annotated[int, Field(ge=1, le=3650)]  # ten years: no verdict holds longer
    regression: PositiveInt  # adversarial inputs kept for the versions after this one
    second_factor: bool = False  # the approver's login needs one
    data_licence: str | None = None  # an SPDX identifier or a name, for the bill of materials
    gates: Policy


class Params(Record):
    """One model's section, whole."""

    model: str
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)]  # what every library's generator takes
    dataset: Dataset
    threat: Threat
    validation: Shares
    augmentation: Augmenting
    training: Training
    explanation: Explaining
    evaluation: Evaluation
    promotion: Promotion
    # Left out of what is written down of a run: it changes none, and so belongs in no evidence.
    compare: Comparing | None = Field(None, exclude=True)

    def varied(self, candidate: Variation) -> Params:
        """Give the params that one candidate of a comparison is trained under.

        Raises
        ------
        ValidationError
            If its keys do not make a training section.
        """
        training = Training.model_validate(candidate.of(records.to_plain(self.training)))
        return self.model_copy(update={"training": training})

    def digest(self, stage: str) -> str:
        """Digest what ``stage`` depends on: its own section and the shared ones."""
        plain = records.to_plain(self)
        return provenance.sha256_json({key: plain[key] for key in (*SHARED[stage], stage)})

    def check(self, spec: InputSpec, *, train: int, test: int) -> None:
        """Refuse what does not fit the data, in any section, before anything is trained.

        Parameters
        ----------
        train, test
            How many samples these splits have.

        Raises
        ------
        ParamsError
            Names the section, and what to change.
        """
        region.build(self.threat, spec)
        augmentations.check(self.augmentation, spec, self.threat)
        self.training.check(spec)
        if self.training.defense.certifies and self.threat.switches:
            raise ParamsError(
                f"training.defense.recipe = {self.training.defense.recipe!r}: bounds hold numbers, "
                "and the threat lets categories be switched; choose pgd"
            )
        self.explanation.check(train=train, test=test)
        with _of("explanation.attack"):
            if self.explanation.attack is not None:
                self.explanation.attack.check(spec, self.threat)
        with _of("evaluation"):
            probes.plan(self.evaluation, spec, self.threat)
            if self.evaluation.certification is not None:
                model = self.training.untrained(spec)
                self.evaluation.certification.check(model, self.threat)
        private = self.training.privacy is not None
        policy.check(self.promotion.gates, self.evaluation, spec, private=private)


@contextmanager
def _of(section: str) -> Iterator[None]:
    """Say of an attack, which knows its own name only, where it stands."""
    try:
        yield
    except ParamsError as error:
        words = str(error)
        raise ParamsError(words if "evaluation." in words else f"{section}: {words}") from error


def models(path: Path = FILE) -> tuple[str, ...]:
    """List the models of the project."""
    return params_file.names(params_file.parse(params_file.text_of(path), path), path)


def load(model: str, path: Path = FILE) -> Params:
    """Read one model's section.

    Raises
    ------
    ParamsError
        If the file, the model or a key is missing, misspelt or out of range; names the key.
    """
    return _validated(model, params_file.text_of(path), path)


def check_overrides(model: str, assignments: Sequence[str], path: Path = FILE) -> None:
    """Refuse what :func:`override` would, and write nothing."""
    _assigned(model, assignments, params_file.text_of(path), path)


def override(model: str, assignments: Sequence[str], path: Path = FILE) -> Params:
    """Write ``MODEL.SECTION.KEY=VALUE`` assignments into the file, and read the section back.

    Nothing is written unless the whole section is still valid.
    """
    overrides.recover(path)
    text, params = _assigned(model, assignments, params_file.text_of(path), path)
    if assignments:
        files.write_text(path, text)
    return params


@contextmanager
def overridden(model: str, assignments: Sequence[str], path: Path = FILE) -> Iterator[Params]:
    """Override for the length of the block, then take the overrides back.

    Raises
    ------
    UnavailableError
        If another run has overrides in force; names its process.
    """
    if not assignments:
        yield override(model, (), path)
        return
    with overrides.alone(path):
        before = params_file.text_of(path)
        after, params = _assigned(model, assignments, before, path)
        with overrides.in_force(assignments, before=before, after=after, path=path):
            yield params


def _assigned(model: str, assignments: Sequence[str], text: str, path: Path) -> tuple[str, Params]:
    """Put assignments into the text; give it and the section it then holds."""
    params_file.section(params_file.parse(text, path), model, path)
    for assignment in assignments:
        text = params_file.assign(text, model, assignment, path)
    return text, _validated(model, text, path)


def _validated(model: str, text: str, path: Path) -> Params:
    section = params_file.section(params_file.parse(text, path), model, path)
    if "model" in section:
        raise ParamsError(f"{path}: {model}.model is not a known key; the section's name is it")
    try:
        params = Params.model_validate({"model": model, **section})
    except ValidationError as error:
        lines = [_explain(model, item, section) for item in error.errors()]
        raise ParamsError(f"{path}: " + "; ".join(lines)) from error
    plain = {**records.to_plain(params), "compare": section.get("compare")}
    for key, found in _switches(section, plain, model):
        raise ParamsError(f"{path}: {key} = {found}: expected a number, not {str(found).lower()}")
    _check_places(params, path)
    _check_threat(params, path)
    _check_candidates(params, path)
    return params


def _check_candidates(params: Params, path: Path) -> None:
    """Find a candidate that cannot be trained now, and not after the ones before it."""
    for at, candidate in enumerate(params.compare.candidates if params.compare else ()):
        try:
            params.varied(candidate)
        except ValidationError as error:
            varied = {"training": candidate.of(records.to_plain(params.training))}
            problems = [
                _explain(params.model, {**item, "loc": ("training", *item["loc"])}, varied)
                for item in error.errors()
            ]
            raise ParamsError(
                f"{path}: {params.model}.compare.candidates.{at} ({candidate.name}): "
                + "; ".join(problems)
            ) from error


def _check_threat(params: Params, path: Path) -> None:
    """Find a column that must not move and is said to, before any data are read."""
    for name in getattr(params.dataset, "immutable", ()):  # of tables alone
        if name in params.threat.movable:
            raise ParamsError(
                f"{path}: {params.model}.threat lets an attacker change {name}, which is immutable "
                "by dataset.immutable; remove it here or there"
            )


def _switches(written: Any, read: Any, key: str) -> Iterator[tuple[str, bool]]:
    """Find ``true`` and ``false`` that pydantic has read as the numbers 1 and 0."""
    if isinstance(written, bool):
        if not isinstance(read, bool):
            yield key, written
    elif isinstance(written, dict):
        for name, value in written.items():
            yield from _switches(value, read[name], f"{key}.{name}")
    elif isinstance(written, list):
        for at, value in enumerate(written):
            yield from _switches(value, read[at], f"{key}.{at}")


def _check_places(params: Params, path: Path) -> None:
    """See that the raw files lie where their changes are noticed: DVC watches this folder."""
    folder = Path("data") / params.model
    named = [("dataset", source.path) for source in params.dataset.sources if not source.is_url]
    if params.training.importance is not None:
        named.append(("training.importance.new", params.training.importance.new))
    for at, risk in enumerate(params.evaluation.risks):
        new = getattr(risk, "new", None)
        named += [] if new is None else [(f"evaluation.risks.{at}.new", new)]
    if params.validation.quarantine is not None:
        named.append(("validation.quarantine", params.validation.quarantine))
    for key, file in named:
        if not Path(os.path.normpath(file)).is_relative_to(folder):
            raise ParamsError(
                f"{path}: {params.model}.{key} names {file}, which is not below "
                f"{folder.as_posix()}/; move the file there, where its changes are noticed"
            )


def _explain(model: str, item: Any, section: Any) -> str:
    """Say which key, what was found and, for a misspelt key or name, what was probably meant."""
    key = ".".join([model, *_place(item["loc"], section)])
    context = item.get("ctx", {})
    match item["type"]:
        case "extra_forbidden":
            section_key, _, word = key.rpartition(".")
            near = meant(word, _keys_beside(item["loc"]), prefix=f"{section_key}.")
            return f"{key} is not a known key{near}"
        case "missing":
            return f"{key} is missing"
        case "union_tag_not_found":
            return f"{key}.{context['discriminator'].strip(_QUOTES)} is missing"
        case "union_tag_invalid":
            known = [name.strip(_QUOTES) for name in context["expected_tags"].split(", ")]
            return (
                f"{key}.{context['discriminator'].strip(_QUOTES)} = {context['tag']!r}: "
                f"expected one of {', '.join(known)}{meant(str(context['tag']), known)}"
            )
        case "tuple_type":
            return f"{key} = {_shown(item['input'])}: expected a list"
        case "too_short":
            return (
                f"{key} = {_shown(item['input'])}: expected {context['min_length']} or more, not "
                f"{context['actual_length']}"
            )
        case _:
            problem = item["msg"].removeprefix("Value error, ")
            whole = isinstance(item["input"], dict)  # a section: the problem names what is in it
            return f"{key}: {problem}" if whole else f"{key} = {_shown(item['input'])}: {problem}"


def _shown(found: object) -> str:
    return textwrap.shorten(repr(found), 80, placeholder=" ...")


def _place(loc: Sequence[str | int], section: Any) -> list[str]:
    """Spell where in the section; pydantic's tags of unions are no part of it."""
    place, here = [], section
    for at, part in enumerate(loc):
        try:
            here = here[part]
        except (KeyError, IndexError, TypeError):
            if at < len(loc) - 1:
                continue
        place.append(str(part))
    return place


def _keys_beside(loc: Sequence[str | int]) -> list[str]:
    """List the keys that may stand where ``loc`` leads to."""
    schema = Params.model_json_schema()
    node: Any = schema
    for part in loc[:-1]:
        node = _below(node, part, schema["$defs"])
    return sorted(set(node.get("properties", ())) - {"model"})


def _below(node: Any, part: str | int, definitions: Any) -> Any:
    """Go one step down in a JSON schema; an empty one when there is no such step."""
    mapping = node.get("discriminator", {}).get("mapping", {})
    found = node.get("properties", {}).get(part) or mapping.get(part)
    if found is None:
        found = node.get("items") if isinstance(part, int) else node.get("additionalProperties")
    if isinstance(found, str):  # how a union's mapping refers to its members
        found = {"$ref": found}
    if isinstance(found, dict):
        return definitions[found["$ref"].rpartition("/")[2]] if "$ref" in found else found
    options = [*node.get("anyOf", ()), *node.get("oneOf", ())]
    whole = (definitions[o["$ref"].rpartition("/")[2]] if "$ref" in o else o for o in options)
    return next(filter(None, (_below(option, part, definitions) for option in whole)), {})
