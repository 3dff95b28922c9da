"""Is a share at least its bound? A test that stops as soon as the answer is sure.

Samples are drawn in random order without replacement from a finite set, as in Waudby-Smith and
Ramdas (2020), "Confidence sequences for sampling without replacement", arXiv:2006.04347. Two bets
run side by side: one against "one success too few", spread over all counts that pass, and one
against "just enough", spread over all counts that do not. While the answer bet against is true, a
bet's capital multiplies by one on average (for any answer further away, by less), so that it ever
reaches 1 / alpha with a probability of alpha at most (Ville's inequality). The test may therefore
look after every sample, and nothing is lost by looking often.

What is asked is what report mode asks of all samples: whether the lower end of the interval reaches
the bound, which is a count of successes (:func:`needed`).

:func:`decide` looks at the samples that are most likely to fail before it draws any. What it finds
there is counted, not estimated, and the test is about the rest, in which a failure is rare: a few
draws then say what many would have to say of all. A guess of what is likely costs the test nothing
but samples when it is wrong, as in audits of elections: Shekhar, Xu, Lipton, Liang and Ramdas
(2023), "Risk-limiting financial audits via weighted sampling without replacement",
arXiv:2305.06884, draw by such guesses where we sort by them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeInt, PositiveInt

from hardgate import statistics
from hardgate.errors import ContractError
from hardgate.records import Rate, Record

AT_ONCE = 64, 256  # samples, at least and at most: looking is free, but an attack wants a batch
RARE = 1 / 32  # of the samples asked last fail: the likely ones are through
CENSUS = 1 / 4  # of all samples at most are asked for being likely to fail


class Answer(Record):
    """What the test found: ``passes`` is None while the answer is not sure.

    ``seen`` of ``samples`` were looked at, and ``successes`` of those succeeded.
    """

    passes: bool | None
    successes: NonNegativeInt
    seen: NonNegativeInt
    samples: PositiveInt
    alpha: Annotated[float, Field(gt=0, lt=1)]


def needed(bound: Rate, samples: int) -> int:
    """Count the successes that report mode asks for: the lower end of the interval is the bound.

    It is ``samples + 1`` when not even all are enough.
    """
    low, high = 0, samples + 1
    while low < high:
        middle = (low + high) // 2
        if statistics.wilson(middle, samples).lower >= bound:
            high = middle
        else:
            low = middle + 1
    return low


def spend(alpha: float, attempt: int) -> float:
    """Give the error rate of the ``attempt``-th retraining, counted from 1.

    ``alpha / (attempt * (attempt + 1))`` sums to ``alpha`` however often a model is retrained, so
    that a bad one does not pass by being asked again and again.
    """
    if attempt < 1:
        raise ContractError(f"attempt {attempt} is no count from 1")
    return alpha / (attempt * (attempt + 1))


def decide(
    stands: Callable[[NDArray[np.int64]], NDArray[np.bool_]],
    risk: NDArray[np.float64],
    *,
    required: int,
    alpha: float,
    generator: np.random.Generator,
) -> Answer:
    """Ask samples until it is sure whether ``required`` of them succeed.

    Parameters
    ----------
    stands
        Tells which samples of the given numbers succeed.
    risk
        One number per sample, larger where failure is more likely, from whatever can be known
        without asking. The error rate holds whether it says anything or not.

    Raises
    ------
    ContractError
        If there are no samples.
    """
    order = np.argsort(-risk, kind="stable")
    samples, few, many = len(order), *AT_ONCE
    seen = successes = 0

    def answer(passes: bool | None) -> Answer:
        return Answer(passes=passes, successes=successes, seen=seen, samples=samples, alpha=alpha)

    failing = 1.0
    while failing > RARE and seen < min(samples, max(few, CENSUS * samples)):
        found = stands(order[seen : seen + few])
        seen, successes = seen + len(found), successes + int(found.sum())
        if successes >= required or seen - successes > samples - required:
            return answer(successes >= required)
        failing = 1 - found.mean()
    test = Test(required=required - successes, samples=samples - seen, alpha=alpha)
    rest = generator.permutation(order[seen:])
    while (passes := test.answer().passes) is None:
        found = stands(rest[test.seen :][: min(many, max(few, test.least()))])
        for success in found:
            if test.answer().passes is None:
                test.see(bool(success))
    seen, successes = seen + test.seen, successes + test.successes
    return answer(passes)


class Test:
    """Watches successes come in, in random order, and says when the answer is sure."""

    __test__ = False  # for pytest, which collects classes of this name

    def __init__(self, *, required: int, samples: int, alpha: float) -> None:
        """Ask whether ``samples`` hold ``required`` successes, each error at rate ``alpha``."""
        if samples < 1 or not 0 <= required <= samples + 1 or not 0 < alpha < 1:
            raise ContractError(
                f"{required} of {samples} samples at alpha {alpha:g} is no question to test"
            )
        self.required, self.samples, self.alpha = required, samples, alpha
        self.successes = self.seen = 0
        counts = np.arange(samples + 1)
        self._enough = _Bet(counts[required:], against=required - 1, samples=samples)
        self._too_few = _Bet(counts[:required], against=required, samples=samples)

    def see(self, success: bool) -> Answer:
        """Take in the next sample of the random order."""
        if self.seen == self.samples:
            raise ContractError(f"all {self.samples} samples were seen already")
        for bet in (self._enough, self._too_few):
            bet.see(success, successes=self.successes, seen=self.seen)
        self.successes += success
        self.seen += 1
        return self.answer()

    def answer(self) -> Answer:
        """Say what is known now."""
        passes = None
        if (
            self.required > self.samples
            or self.seen - self.successes > self.samples - self.required
        ):
            passes = False  # what is left cannot be enough
        elif self.successes >= self.required or self._enough.capital >= 1 / self.alpha:
            passes = True
        elif self._too_few.capital >= 1 / self.alpha:
            passes = False
        return Answer(
            passes=passes,
            successes=self.successes,
            seen=self.seen,
            samples=self.samples,
            alpha=self.alpha,
        )

    def least(self) -> int:
        """Count the successes in a row that would make the answer sure."""
        bet, more = copy.copy(self._enough), 0
        while self.successes + more < self.required and bet.capital < 1 / self.alpha:
            bet.see(True, successes=self.successes + more, seen=self.seen + more)
            more += 1
        return more


class _Bet:
    """A mixture of likelihood ratios, evenly over ``counts``, against one count of successes."""

    def __init__(self, counts: NDArray[np.int64], *, against: int, samples: int) -> None:
        self._counts = counts.astype(float)
        self._shares = np.full(len(counts), 1 / max(1, len(counts)))
        self._against, self._samples = float(against), samples

    @property
    def capital(self) -> float:
        """Give what a stake of 1 has become."""
        return float(self._shares.sum())

    def see(self, success: bool, *, successes: int, seen: int) -> None:
        """Pay out one sample, drawn when ``successes`` of ``seen`` were known."""
        left = self._samples - seen
        ones = np.clip(self._counts - successes, 0, left)
        expected = min(max(self._against - successes, 0), left)
        for_it, against = (ones, expected) if success else (left - ones, left - expected)
        with np.errstate(divide="ignore", invalid="ignore"):
            self._shares = np.nan_to_num(self._shares * (for_it / against), nan=0.0, posinf=np.inf)
