"""The data sheet, the model card, and all measurements.

Gebru et al. (2021), "Datasheets for datasets"; Mitchell et al. (2019), "Model cards for model
reporting": what a reader needs to know before using either.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hardgate import measurements, records
from hardgate.params import Params
from hardgate.records import (
    CandidateRecord,
    Column,
    ColumnType,
    ImageInput,
    InputSpec,
    Measurement,
    TableInput,
)
from hardgate.reporting import threats, words
from hardgate.reporting.parts import Facts, Table
from hardgate.reporting.run import Run
from hardgate.threat import Threat


def sources(params: Params) -> tuple[str, ...]:
    """Name the files that the dataset section names."""
    named = _dotted(records.to_plain(params.dataset))
    return tuple(text for key, text in named if key.rpartition(".")[2] == "path")


def splits(run: Run) -> Table:
    """Count samples by class and split, with the share of each class."""
    named = {"train": run.dataset.train, "held out": run.dataset.held_out, "test": run.dataset.test}
    named["train, augmented"] = run.corpus.train
    order = ["train", "train, augmented", "held out", "test"]
    rows = [
        (
            name_of_class,
            *(
                f"{named[name].class_counts[index]:,} "
                f"({words.number(named[name].class_counts[index] / named[name].samples)})"
                for name in order
            ),
        )
        for index, name_of_class in enumerate(run.dataset.input.classes)
    ]
    total = ("all", *(f"{named[name].samples:,}" for name in order))
    return Table(("class", *order), (*rows, total))


def columns(run: Run) -> Table | None:
    """Describe the columns of a table: type, range, and who may move them."""
    spec = run.dataset.input
    if not isinstance(spec, TableInput):
        return None
    return Table(
        ("column", "type", "range in training", "mean", "scale", "roles"),
        tuple(
            (
                column.name,
                column.type.value,
                _range(column),
                "" if _is_categorical(column) else words.amount(column.mean),
                "" if _is_categorical(column) else words.amount(column.scale),
                _roles(column, run.params.threat),
            )
            for column in spec.columns
        ),
    )


def _is_categorical(column: Column) -> bool:
    return column.type is ColumnType.CATEGORICAL


def _range(column: Column) -> str:
    if _is_categorical(column):
        return ", ".join(column.categories)
    return f"{words.amount(column.low)} to {words.amount(column.high)}"


def _roles(column: Column, threat: Threat) -> str:
    roles = {
        "sensitive": column.sensitive,
        "immutable": column.immutable,
        "movable by an attacker": column.name in threat.movable,
    }
    return ", ".join(role for role, held in roles.items() if held)


def data(run: Run) -> Facts:
    """Sum the data up."""
    dataset, spec = run.dataset, run.dataset.input
    splits = (dataset.train, dataset.held_out, dataset.test)
    rows = sum(split.samples for split in splits)
    return (
        ("Samples", f"{rows:,}, {_one(spec)} each"),
        ("Classes", ", ".join(spec.classes)),
        ("Expectations", f"{dataset.expectations}, all kept ({dataset.suite.path.as_posix()})"),
        *_set_aside(run),
        ("Seed of the splits", str(dataset.seed)),
    )


def _set_aside(run: Run) -> Facts:
    """Say how many rows are in no split, if any, and which file names them."""
    share, path = run.measured.get(measurements.QUARANTINED), run.params.validation.quarantine
    if share is None or share.value == 0:
        return ()
    rows = words.count(round(share.value * share.samples), "row")
    return (("Set aside", f"{rows} of {share.samples:,}, in no split ({path})"),)


def _one(spec: InputSpec) -> str:
    if isinstance(spec, ImageInput):
        channels, height, width = spec.shape
        colours = "grey" if channels == 1 else f"{channels} channels"
        return f"an image of {height} × {width} pixels, {colours}"
    return f"a row of {words.count(len(spec.columns), 'column')}"


def files(run: Run) -> Table:
    """List the raw files and the splits made of them, with their digests."""
    dataset = run.dataset
    named = [
        *(("source", file.path.as_posix(), file.sha256) for file in dataset.source),
        ("suite", dataset.suite.path.as_posix(), dataset.suite.sha256),
        ("train", dataset.train.path.as_posix(), dataset.train.sha256),
        ("held out", dataset.held_out.path.as_posix(), dataset.held_out.sha256),
        ("test", dataset.test.path.as_posix(), dataset.test.sha256),
        ("train, augmented", run.corpus.train.path.as_posix(), run.corpus.train.sha256),
    ]
    return Table(("what", "file", "SHA-256"), tuple(named))


def model(run: Run) -> Facts:
    """Sum the model up."""
    candidate, training = run.candidate, run.params.training
    return (
        (
            "Architecture",
            f"{candidate.architecture}: {words.about(training.architecture)}",
        ),
        (
            "Recipe",
            f"{candidate.recipe}: {words.about(training.defense)}",
        ),
        ("Weights", f"{candidate.weights:,}"),
        *_privacy(candidate),
        ("Epochs", f"{candidate.epochs}, of which epoch {candidate.best_epoch} was the best"),
        ("It stopped because", words.STOPPED[candidate.stopped]),
        ("Training took", words.duration(candidate.seconds)),
        ("Seed", str(candidate.seed)),
        ("Digest", candidate.model_sha256),
    )


def _privacy(candidate: CandidateRecord) -> Facts:
    """Say what training may have told of a row, if that is bounded."""
    found = records.values(candidate.measurements)
    if measurements.EPSILON not in found:
        return ()
    return (
        (
            "Privacy",
            f"epsilon {found[measurements.EPSILON]:.3f} at delta {found[measurements.DELTA]:.2g} "
            "for any one training row, of the weights alone; other versions add theirs",
        ),
    )


def settings(run: Run) -> Facts:
    """Spell the training section of params.yaml as dotted keys."""
    return tuple(_dotted(records.to_plain(run.params.training)))


def _dotted(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _dotted(item, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value)


def intended_use(run: Run) -> str:
    """Say what the model is for, in the words of its threat section."""
    spec, threat = run.dataset.input, run.params.threat
    return (
        f"{run.params.model} takes {_one(spec)} and answers with one of "
        f"{len(spec.classes)} classes. It is meant for places where somebody may change what it is "
        f"shown: {threats.attacker(threat, spec)}"
    )


def limits(run: Run) -> tuple[str, ...]:
    """Say what nobody should conclude from this page."""
    said = [
        "Larger changes, another norm, or anything else that the threat model does not name were "
        "not tried, except as the security curve shows."
    ]
    if measurements.CERTIFIED_ACCURACY not in run.measured:
        said.append(
            "Robust accuracy is what the attacks named here left standing. It is no proof: a "
            "better attack may find more."
        )
    said.append(
        f"Every number stands on a test split of {words.count(run.dataset.test.samples, 'sample')} "
        "from the same source as the training data. Other people, places or times need their own."
    )
    if any("/small_group/" in name for name in run.measured):
        said.append("Groups marked as too small were measured and not judged.")
    if not any(name.startswith(("privacy/", "poisoning/")) for name in run.measured):
        said.append(
            "Poisoned training data, leaks of training data and theft of the model were not looked "
            "into."
        )
    until = words.moment(run.decision.valid_until)
    said.append(f"The evidence holds until {until}; after that it must be measured again.")
    return tuple(said)


def everything(run: Run) -> Table:
    """List all measurements."""
    return Table(
        ("measurement", "value", "95 % interval", "samples", "kind"),
        tuple(_line(name, found) for name, found in sorted(run.measured.items())),
    )


def _line(name: str, found: Measurement) -> tuple[str, ...]:
    return (
        name,
        words.value(found, 4),
        words.interval(found, 4),
        f"{found.samples:,}",
        found.interval,
    )
