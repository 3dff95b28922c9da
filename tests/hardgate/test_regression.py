"""What fooled a version is kept once, in one spelling, and asked only where it is a question."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hardgate import provenance, region, regression
from hardgate.errors import IntegrityError
from hardgate.evidence import outcomes, spotcheck
from hardgate.evidence.outcomes import Outcomes
from hardgate.records import FileRecord, ImageInput
from hardgate.regression import Corpus
from hardgate.samples import Samples
from hardgate.threat import Threat

EPS = 0.2
SPEC = ImageInput(kind="images", shape=(1, 2, 2), classes=("a", "b"), mean=(0.5,), scale=(1.0,))
REGION = region.build(Threat(norm="Linf", eps=EPS, access="white-box", queries=1), SPEC)


def split(count: int = 6) -> Samples:
    images = torch.arange(count * 4, dtype=torch.float32).reshape(count, 1, 2, 2) / (count * 4)
    return Samples(images, torch.arange(count) % 2, torch.arange(count))


def answers(inputs, predictions, labels, known=None):
    chances = np.full((len(inputs), 2), 0.5, np.float32)
    return outcomes.answers(
        inputs.numpy(),
        predictions=np.array(predictions),
        probabilities=chances,
        labels=labels.numpy(),
        known=known,
    )


def known_of(test: Samples, clean: list[int], **attacks) -> Outcomes:
    return Outcomes(
        index=np.arange(len(test)),
        rows=test.rows.numpy(),
        labels=test.labels.numpy(),
        clean=answers(test.inputs, clean, test.labels),
        attacks=attacks,
    )


@pytest.fixture
def attacked(tmp_path):
    """Samples 0 to 5; 1, 2, 4 and 5 are attacked; 5 is wrong by itself and 1 withstands."""
    test = split()
    index = torch.tensor([1, 2, 4, 5])
    moved = (test.inputs[index] + 0.1).clamp(0, 1)
    path = tmp_path / "pgd.safetensors"
    spotcheck.write_attacked(path, index=index, inputs=moved)
    where = np.isin(np.arange(6), index.numpy())
    said = answers(moved, [1, 1, 1, 0], test.labels, where)
    known = known_of(test, [0, 1, 0, 1, 0, 0], pgd=said)
    return test, known, {"pgd": FileRecord(path=path, sha256=provenance.sha256_file(path))}, moved


def test_what_turned_a_right_answer_into_a_wrong_one_is_kept(attacked):
    _, known, files, moved = attacked
    kept = regression.fooling(known, files)
    assert torch.equal(kept.inputs, moved[1:3])
    assert kept.labels.tolist() == [0, 0]
    assert kept.sources.numpy().tobytes() == known.clean.inputs[[2, 4]].tobytes()


def test_inputs_that_are_not_those_of_the_evaluation_are_refused(attacked):
    _, known, files, _ = attacked
    path = files["pgd"].path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError, match="has changed"):
        regression.fooling(known, files)


def some(numbers: list[int]) -> Corpus:
    inputs = torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 1, 2, 2) / 100
    sources = torch.zeros(len(numbers), 32, dtype=torch.uint8)
    return Corpus(inputs.contiguous(), torch.zeros(len(numbers), dtype=torch.int64), sources)


def numbers(corpus: Corpus) -> set[int]:
    return {round(100 * value) for value in corpus.inputs[:, 0, 0, 0].tolist()}


def test_each_input_is_kept_once_and_the_order_of_coming_does_not_matter(tmp_path):
    paths = [tmp_path / name for name in "ab"]
    for path, (one, other) in zip(paths, [([1, 2], [2, 3]), ([3, 2, 1], [])], strict=True):
        regression.write(regression.merge(some(one), some(other), size=10), path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    back = regression.read(paths[0], sha256=provenance.sha256_file(paths[0]))
    assert numbers(back) == {1, 2, 3}
    with pytest.raises(IntegrityError, match="has changed"):
        regression.read(paths[0], sha256="0" * 64)


def test_too_many_are_thinned_out_alike_whatever_came_first():
    old, new = some(list(range(60))), some(list(range(40, 100)))
    kept = regression.merge(old, new, size=20)
    assert len(kept) == 20
    assert numbers(kept) == numbers(regression.merge(new, old, size=20))
    assert numbers(kept) & set(range(40)) and numbers(kept) & set(range(60, 100))
    step = regression.merge(regression.merge(old, some([]), size=20), new, size=20)
    assert numbers(step) == numbers(kept)


def test_an_empty_corpus_can_be_written_and_asked(tmp_path, attacked):
    test, known, _, _ = attacked
    nothing = regression.merge(regression.empty(), regression.empty(), size=5)
    regression.write(nothing, tmp_path / "none")
    back = regression.read(tmp_path / "none", sha256=provenance.sha256_file(tmp_path / "none"))
    asked = regression.usable(back, known, test, REGION)
    assert len(asked.corpus) == asked.set_aside == 0


def kept_of(test: Samples, known: Outcomes, case: str) -> Corpus:
    """A kept input of sample 2, and what may be wrong with it."""
    source = torch.from_numpy(known.clean.inputs[[2]].copy())
    near = test.inputs[[2]] + EPS / 2
    return {
        "all is well": Corpus(near, test.labels[[2]], source),
        "beyond the radius": Corpus(near + EPS, test.labels[[2]], source),
        "not a number": Corpus(near * torch.nan, test.labels[[2]], source),
        "no test sample": Corpus(near, test.labels[[2]], source ^ 1),
        "another label": Corpus(near, 1 - test.labels[[2]], source),
    }[case]


@pytest.mark.parametrize(
    ("case", "positions"),
    [
        ("all is well", [2]),
        ("beyond the radius", []),
        ("not a number", []),
        ("no test sample", []),
        ("another label", []),
    ],
)
def test_what_is_no_question_today_is_set_aside(attacked, case, positions):
    test, known, _, _ = attacked
    asked = regression.usable(kept_of(test, known, case), known, test, REGION)
    assert asked.positions.tolist() == positions
    assert (len(asked.corpus), asked.set_aside) == (len(positions), 1 - len(positions))


def test_nothing_before_promotion_reads_the_corpus():
    readers = {
        path.as_posix()
        for folder in ("hardgate", "tasks", "flows")
        for path in Path(folder).rglob("*.py")
        if "regression" in path.read_text(encoding="utf-8")
    }
    stages = ("tasks/training.py", "tasks/augmentation.py", "tasks/evaluation.py")
    assert not readers & {*stages, "hardgate/training.py"}
    assert not any(name.startswith("hardgate/augmentations") for name in readers)
