"""Loops report where they are to whoever listens, and end when somebody presses Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest
import torch

from hardgate import progress, region, robustness
from hardgate.attacks.images import PGD
from hardgate.records import ImageInput
from hardgate.threat import Threat


class Notes(progress.Silent):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def entered(self, stage: str, *, reused: bool) -> None:
        self.heard.append(("entered", stage, reused))

    def started(self, step: str, total: int | None) -> None:
        self.heard.append(("started", step, total))

    def advanced(self, step: str) -> None:
        self.heard.append(("advanced", step))

    def noted(self, step: str, text: str) -> None:
        self.heard.append(("noted", step, text))

    def finished(self, step: str) -> None:
        self.heard.append(("finished", step))


@pytest.fixture
def notes() -> Iterator[Notes]:
    listener = Notes()
    with progress.listening(listener):
        yield listener


def test_a_loop_says_how_long_it_is_and_every_step(notes: Notes) -> None:
    assert list(progress.track([1, 2], "counting")) == [1, 2]
    assert notes.heard == [
        ("started", "counting", 2),
        ("advanced", "counting"),
        ("advanced", "counting"),
        ("finished", "counting"),
    ]


def test_the_length_of_an_iterator_is_unknown_unless_it_is_given(notes: Notes) -> None:
    list(progress.track(iter("ab"), "unknown"))
    list(progress.track(iter("ab"), "known", total=2))
    assert ("started", "unknown", None) in notes.heard
    assert ("started", "known", 2) in notes.heard


def test_a_remark_is_made_after_each_step(notes: Notes) -> None:
    list(progress.track("a", "talking", remark=lambda: "loss 1"))
    assert notes.heard[1:3] == [("noted", "talking", "loss 1"), ("advanced", "talking")]


def test_loops_of_one_name_at_one_time_are_told_apart(notes: Notes) -> None:
    for _ in zip(progress.track("a", "PGD"), progress.track("a", "PGD"), strict=True):
        pass
    list(progress.track("a", "PGD"))
    names = [step for event, step, *_ in notes.heard if event == "started"]
    assert names == ["PGD", "PGD (2)", "PGD"]


def test_a_loop_that_fails_is_finished_too(notes: Notes) -> None:
    with pytest.raises(ZeroDivisionError):
        for item in progress.track([0], "dividing"):
            1 / item
    assert notes.heard[-1] == ("finished", "dividing")


def test_nobody_hears_anything_after_the_block(notes: Notes) -> None:
    other = Notes()
    with progress.listening(other):
        progress.enter("training", reused=True)
    progress.enter("evaluation")
    assert other.heard == [("entered", "training", True)]
    assert notes.heard == [("entered", "evaluation", False)]


def test_ctrl_c_ends_the_loops_of_other_threads() -> None:
    begun, ended = threading.Event(), threading.Event()

    def work() -> None:
        try:
            for _ in progress.track(iter(int, 1), "for ever"):
                begun.set()
        except KeyboardInterrupt:
            ended.set()

    with progress.interruptible():
        thread = threading.Thread(target=work)
        thread.start()
        assert begun.wait(10)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert ended.wait(10)
        thread.join()
    progress.heed()  # after the block nothing is interrupted any more


def test_ctrl_c_ends_an_attack_within_its_batch() -> None:
    asked = 0

    class Model(torch.nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            nonlocal asked
            asked += 1
            if asked == 3:
                with pytest.raises(KeyboardInterrupt):  # as if another thread had heard it
                    signal.raise_signal(signal.SIGINT)
            return torch.stack([inputs.mean((1, 2, 3)), -inputs.mean((1, 2, 3))], 1)

    spec = ImageInput(kind="images", shape=(1, 2, 2), classes=("a", "b"), mean=(0.0,), scale=(1.0,))
    threat = Threat(norm="Linf", eps=0.1, access="white-box", queries=1)
    model = Model()
    with progress.interruptible(), pytest.raises(KeyboardInterrupt):
        robustness.measure(
            PGD(name="pgd", step_size=0.01, steps=1000, restarts=1),
            threat,
            region.build(threat, spec),
            model,
            torch.rand(4, 1, 2, 2),
            torch.zeros(4, dtype=torch.int64),
            seed=0,
            batch_size=4,
        )
    assert asked == 3
    assert not model._forward_pre_hooks


def test_the_way_ctrl_c_was_handled_before_is_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with progress.interruptible():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_a_run_that_was_started_to_ignore_ctrl_c_ignores_it() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with progress.interruptible():
            signal.raise_signal(signal.SIGINT)
            assert list(progress.track([1], "going on")) == [1]
    finally:
        signal.signal(signal.SIGINT, before)
