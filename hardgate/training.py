"""Training a network by a recipe, so that a killed run goes on as if nothing had happened.

Read :class:`Training` for what params.yaml says, then :func:`fit`. Recipes live in ``defenses/``,
networks in ``architectures/``, the optimiser in ``optimisation.py``, and what is watched meanwhile
in ``early_stopping.py`` and ``monitors.py``.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hardgate import (
    candidates,
    checkpoints,
    early_stopping,
    monitors,
    progress,
    provenance,
    records,
    seeding,
)
from hardgate.adaptation.importance import Importance
from hardgate.architectures import Architecture
from hardgate.certification import intervals
from hardgate.checkpoints import Checkpoint, Journey
from hardgate.defenses import Defense
from hardgate.defenses.recipe import Batch, Moment, Rows
from hardgate.defenses.starts import Carried, Starts
from hardgate.early_stopping import EarlyStopping
from hardgate.errors import ContractError, ParamsError
from hardgate.monitors import Epoch, Evaluated, Monitors, Stopped
from hardgate.optimisation import Descent, Optimiser
from hardgate.privacy import Mechanism, Privacy, measured, originals
from hardgate.records import InputSpec, Measurement, Record, TableInput
from hardgate.region import Region
from hardgate.reweighing import GroupWeights
from hardgate.samples import Samples, as_floats
from hardgate.schedules import Schedule

STEP = "training"


class Training(Record):
    """The training section of params.yaml.

    ``warmup_epochs`` lets the radius grow from nothing to the threat's over the first epochs (0.5
    is half of one): from scratch, a large radius can leave a network nothing to learn.
    ``averaging`` is the share of the past in a moving average of the weights, which is then what
    is evaluated and kept; 0 keeps the last weights themselves. It evens out robust overfitting:
    Rebuffi et al. (2021), "Fixing data augmentation to improve adversarial robustness",
    arXiv:2103.01946. ``start`` says where the weights come from: drawn, or the champion's.
    ``class_weights`` and ``group_weights`` say how much a sample counts; both together multiply.
    ``importance`` draws rows that look like new data more often.
    ``privacy`` bounds what the weights may tell of any one row: rows are drawn by chance,
    ``batch_size`` on average, made samples are left out, and the last weights are kept.
    """

    architecture: Architecture
    defense: Defense
    privacy: Privacy | None = None
    optimiser: Optimiser
    schedule: Schedule
    start: Literal["scratch", "champion"] = "scratch"
    epochs: PositiveInt
    batch_size: PositiveInt
    warmup_epochs: NonNegativeFloat = 0.0
    averaging: float = Field(0.0, ge=0, lt=1)
    class_weights: Literal["balanced", "none"] = "none"
    group_weights: GroupWeights | None = None
    importance: Importance | None = None
    early_stopping: EarlyStopping
    overfitting: Monitors

    def check(self, spec: InputSpec) -> None:
        """Refuse what is not for such data, or not for each other, with a ParamsError."""
        kind = intervals.obstacle(self.untrained(spec))
        if self.defense.certifies and kind is not None:
            raise ParamsError(
                f"training.defense.recipe = {self.defense.recipe!r}: layers of kind {kind} cannot "
                "be bounded; choose another architecture, or the recipe pgd"
            )
        if self.group_weights is not None:
            self.group_weights.check(spec)
        if self.importance is not None and not isinstance(spec, TableInput):
            raise ParamsError(
                "training.importance weighs rows of a table, and the data are images; leave it out"
            )
        if self.early_stopping.score == "auc" and len(spec.classes) != 2:
            raise ParamsError(
                f"training.early_stopping.score: auc is for two classes and there are "
                f"{len(spec.classes)}; choose accuracy or balanced_accuracy"
            )

        if self.privacy is not None:
            self.privacy.check(self, spec)

    def untrained(self, spec: InputSpec) -> torch.nn.Module:
        """Build the network, to look at its layers."""
        return candidates.build(self.architecture, spec)


@dataclass(frozen=True)
class Fitted:
    """A trained model in evaluation mode, with its best weights, and how it came about.

    ``spec`` is what the model was built for: without statistics of the rows where it is private.
    """

    model: torch.nn.Module
    spec: InputSpec
    history: tuple[Epoch, ...]
    best_epoch: int
    stopped: Stopped
    measurements: Mapping[str, Measurement] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """How many epochs were trained."""
        return len(self.history)

    @property
    def seconds(self) -> float:
        """Time spent in training, over all sittings."""
        return sum(epoch.seconds for epoch in self.history)


def fit(
    params: Training,
    spec: InputSpec,
    region: Region,
    corpus: Samples,
    held_out: Samples,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Path,
    identity: str,
    start: Mapping[str, Tensor] | None = None,
    key: bytes | None = None,
) -> Fitted:
    """Train a network and give it its best weights.

    The same arguments give the same weights, bit for bit on the same machine, whether the run was
    interrupted or not; except with ``privacy``, which needs chance that nobody can repeat.

    Parameters
    ----------
    corpus, held_out
        What is trained on, and what picks the best epoch.
    checkpoint
        File to go on from and to replace at every epoch's end.
    identity
        What else the result depends on, such as the digest of a params section.
    start
        Weights to begin with, of this very architecture; drawn from the seed when left out.
    key
        For tests of training with privacy alone: see :class:`hardgate.privacy.Mechanism`.

    Raises
    ------
    IntegrityError
        If the checkpoint is broken; names the file.
    ParamsError
        If the section does not fit the data, or the loss stops being a number.
    """
    _check(params, spec, corpus, held_out)
    if params.privacy is not None:
        spec, corpus = params.privacy.public(spec), originals(corpus)
        params.privacy.check_rows(corpus)
    with _deterministic(device):
        run = Run(params, spec, region, corpus, held_out, seed, device, start, key)
        name = _identify(run, identity)
        if saved := checkpoints.load(checkpoint, identity=name):
            run.restore(saved, checkpoint)
        for epoch in progress.track(run.remaining(), STEP, remark=run.remark):
            run.train(epoch)
            checkpoints.save(run.checkpoint(name), checkpoint)
            if run.stopped:
                break
        return run.finish()


@dataclass
class Run:
    """The state of one training run: everything that a checkpoint saves and restores."""

    params: Training
    spec: InputSpec
    region: Region
    corpus: Samples
    held_out: Samples
    seed: int
    device: torch.device
    start: Mapping[str, Tensor] | None = None
    key: bytes | None = None
    history: list[Epoch] = field(default_factory=list)
    stopped: Stopped | None = None

    def __post_init__(self) -> None:
        self.model = candidates.build(
            self.params.architecture,
            self.spec,
            seed=self._derive("weights", 0),
            prepare=self.params.defense.prepare,
        ).to(self.device)
        if self.start is not None:
            self.model.load_state_dict(self.start)
        self.best = candidates.state_of(self.model)
        self.averaged = averaged(self.model, self.params.averaging)
        self.descent = Descent(self.params.optimiser, self.model)
        self.starts = Starts(self.corpus.inputs) if self.params.defense.carries > 1 else None
        self.weights = _weights(self.params, self.spec, self.corpus)
        self.mechanism = self._mechanism()
        self.watched = early_stopping.choose(
            self.params.early_stopping,
            corpus=self.corpus if self.mechanism is None else self.held_out,
            held_out=self.held_out,
            generator=self._generator("watched", 0),
        )

    def remaining(self) -> range:
        """List the epochs still to be trained, counted from 1."""
        return range(0) if self.stopped else range(len(self.history) + 1, self.params.epochs + 1)

    def train(self, epoch: int) -> None:
        """Train one epoch, look at the result, and judge whether it was the last."""
        started = time.monotonic()
        loss = self._pass(epoch)
        if not math.isfinite(loss):
            raise ParamsError(
                f"training.optimiser: the loss of epoch {epoch} is {loss}; lower rate, or set clip"
            )
        evaluated = self._evaluate(epoch)
        self.history.append(
            Epoch(
                epoch=epoch,
                loss=loss if self.mechanism is None else None,
                rate=self.params.optimiser.rate * self._factor(epoch),
                eps=self._share_of_eps(epoch),
                seconds=time.monotonic() - started,
                evaluated=evaluated,
            )
        )
        if self.best_epoch == epoch:
            self.best = candidates.state_of(self.judged)
        self.stopped = self._verdict() or ("finished" if epoch == self.params.epochs else None)

    def finish(self) -> Fitted:
        """Put the best weights into the model."""
        if self.stopped is None:
            raise ContractError("training is not finished; train the remaining epochs first")
        self.model.load_state_dict(self.best)
        return Fitted(
            self.model.eval(),
            self.spec,
            tuple(self.history),
            self.best_epoch,
            self.stopped,
            self._spent(),
        )

    @property
    def judged(self) -> nn.Module:
        """The network that is evaluated and kept: the average where there is one."""
        return self.model if self.averaged is None else self.averaged.module

    @property
    def best_epoch(self) -> int:
        """The epoch of the best weights; 0, the untrained ones, before the first evaluation.

        With privacy the last: choosing by held-out rows would tell of them.
        """
        if self.mechanism is not None:
            return len(self.history)
        best = monitors.best(self.history)
        return 0 if best is None else best.epoch

    def remark(self) -> str:
        """Say how training goes."""
        latest = self.history[-1]
        seen = latest.evaluated
        robust = f", robust {seen.robust:.3f}" if seen and seen.robust is not None else ""
        proven = f", proven {seen.certified:.3f}" if seen and seen.certified is not None else ""
        clean = f", held-out {seen.clean:.3f}{robust}{proven}" if seen else ""
        loss = "" if latest.loss is None else f"loss {latest.loss:.4f}"
        return f"{loss}{clean}".lstrip(", ")

    def checkpoint(self, identity: str) -> Checkpoint:
        """Copy the state."""
        return Checkpoint(
            Journey(identity=identity, history=tuple(self.history), stopped=self.stopped),
            weights=candidates.state_of(self.model),
            best=self.best,
            average=candidates.state_of(self.judged) if self.averaged else {},
            optimiser=self.descent.tensors(),
            starts={"shares": self.starts.shares} if self.starts else {},
        )

    def restore(self, saved: Checkpoint, path: Path) -> None:
        """Go back to a copied state."""
        for weights in (saved.weights, saved.best):
            candidates.check_state(self.model, weights, path)
        self.model.load_state_dict(saved.weights)
        self.best = saved.best
        if self.averaged is not None:
            candidates.check_state(self.judged, saved.average, path)
            self.judged.load_state_dict(saved.average)
            self.averaged.n_averaged.fill_(1)  # or the next step would take its weights alone
        self.descent.restore(saved.optimiser)
        if self.starts is not None:
            self.starts.restore(saved.starts, path)
        self.history = list(saved.journey.history)
        self.stopped = saved.journey.stopped

    def _mechanism(self) -> Mechanism | None:
        if self.params.privacy is None:
            return None
        return Mechanism(
            self.params.privacy,
            self.model,
            rows=len(self.corpus),
            batch_size=self.params.batch_size,
            epochs=self.params.epochs,
            key=self.key,
        )

    def _spent(self) -> dict[str, Measurement]:
        """Say what the epochs that were run cost in privacy, over all sittings."""
        if self.mechanism is None:
            return {}
        return measured(self.mechanism.spent(len(self.history)), rows=len(self.corpus))

    def _verdict(self) -> Stopped | None:
        """Say why training must stop early, if it must; with privacy it may not."""
        if self.mechanism is not None:
            return None
        watching = self.params.early_stopping
        return monitors.verdict(self.history, self.params.overfitting, patience=watching.patience)

    def _pass(self, epoch: int) -> float:
        """Go through the corpus once; give the mean loss."""
        self.dropout = seeding.of(self.model, self._derive("dropout", epoch), self.device)
        attacks = self._generator("attacks", epoch)
        batches = self._batches(epoch)
        total = torch.zeros((), device=self.device)
        self.model.train()
        for position, index in enumerate(batches):
            progress.heed()
            passed = epoch - 1 + (position + 0.5) / len(batches)
            total += self._step(index, passed, attacks)
        return total.item() / len(self.corpus)

    def _batches(self, epoch: int) -> Sequence[Tensor]:
        """Draw which rows come together: all once, or with privacy each by its own coin."""
        if self.mechanism is not None:
            return list(self.mechanism.batches())
        order = torch.randperm(len(self.corpus), generator=self._generator("order", epoch))
        return torch.split(order, self.params.batch_size)

    def _step(self, index: Tensor, passed: float, attacks: torch.Generator) -> Tensor:
        """Take one step on one batch, ``passed`` epochs into training; give its summed loss."""
        recipe = self.params.defense
        self.descent.forget()
        if self.mechanism is not None:
            with self.dropout:
                total = self.mechanism.gradients(
                    index, lambda part: recipe.loss(self._batch(Rows, part, passed, attacks))
                )
        else:
            with self.dropout:
                loss: Tensor = recipe.loss(self._batch(Batch, index, passed, attacks))
            loss.backward()  # type: ignore[no-untyped-call]
            total = loss.detach() * len(index)
        self.descent.step(factor=self._factor(passed))
        if self.averaged is not None:
            self.averaged.update_parameters(self.model)
        return total

    def _batch(
        self, kind: type[Batch], index: Tensor, passed: float, attacks: torch.Generator
    ) -> Batch:
        share = self._share_of_eps(passed)
        return kind(
            self.model,
            as_floats(self.corpus.inputs[index].to(self.device)),
            self.corpus.labels[index].to(self.device),
            self.region if share == 1 else self.region.scaled(share),
            attacks,
            moment=Moment(passed / self.params.epochs, share),
            weights=None if self.weights is None else self.weights[index].to(self.device),
            carried=self._carried(index, passed),
        )

    def _carried(self, index: Tensor, passed: float) -> Carried | None:
        """Give where the attacks on a batch start, if they carry on from the last epoch's."""
        if self.starts is None:
            return None
        return self.starts.of(index, fresh=int(passed) % self.params.defense.carries == 0)

    def _evaluate(self, epoch: int) -> Evaluated | None:
        watching = self.params.early_stopping
        if epoch % watching.every and epoch != self.params.epochs:
            return None
        return early_stopping.evaluate(
            watching,
            self.judged,
            self.region,
            self.watched,
            adversarial=self.params.defense.adversarial,
            certifies=self.params.defense.certifies,
            device=self.device,
            generator=self._generator("evaluation", 0),  # the same starts for every epoch
        )

    def _factor(self, passed: float) -> float:
        """Give the share of the full learning rate after ``passed`` epochs."""
        return self.params.schedule.factor(passed / self.params.epochs)

    def _share_of_eps(self, passed: float) -> float:
        """Give the share of the radius in force after ``passed`` epochs."""
        warmup = self.params.warmup_epochs
        return min(1.0, passed / warmup) if warmup else 1.0

    def _generator(self, purpose: str, epoch: int) -> torch.Generator:
        return torch.Generator().manual_seed(self._derive(purpose, epoch))

    def _derive(self, purpose: str, epoch: int) -> int:
        """Derive a seed of its own for each purpose and epoch, so that no state need be saved."""
        digest = hashlib.sha256(f"{self.seed}/{purpose}/{epoch}".encode()).digest()
        return int.from_bytes(digest[:7], "big")


def averaged(model: nn.Module, share: float) -> AveragedModel | None:
    """Begin a moving average of a model's weights; ``share`` is the past's, None where it is 0."""
    if not share:
        return None
    average = get_ema_multi_avg_fn(share)  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=average, use_buffers=True)


def _check(params: Training, spec: InputSpec, corpus: Samples, held_out: Samples) -> None:
    for name, samples in (("corpus", corpus), ("held-out split", held_out)):
        if len(samples) == 0:
            raise ContractError(f"the {name} is empty; there is nothing to train on or to watch")
        low, high = int(samples.labels.min()), int(samples.labels.max())
        if low < 0 or high >= len(spec.classes):
            raise ContractError(
                f"the {name} has labels from {low} to {high}; the input names "
                f"{len(spec.classes)} classes, so they must lie in 0 to {len(spec.classes) - 1}"
            )
    params.check(spec)


def _weights(params: Training, spec: InputSpec, corpus: Samples) -> Tensor | None:
    """Say how much each sample counts, shape ``(n,)``: by how rare its class is, and by its group.

    All count the same where neither is asked for.
    """
    weights = None
    if params.class_weights == "balanced":
        counts = torch.bincount(corpus.labels, minlength=len(spec.classes)).clamp(min=1)
        weights = (len(corpus) / (len(spec.classes) * counts))[corpus.labels]
    if params.group_weights is None:
        return weights
    by_group = params.group_weights.of(spec, corpus)
    return by_group if weights is None else weights * by_group


def _identify(run: Run, identity: str) -> str:
    """Digest everything the weights depend on."""
    return provenance.sha256_json(
        {
            "training": records.to_plain(run.params),
            "input": records.to_plain(run.spec),
            "norm": run.region.norm,
            "eps": run.region.eps,
            "corpus": run.corpus.sha256(),
            "held_out": run.held_out.sha256(),
            "seed": run.seed,
            "start": None if run.start is None else checkpoints.digest("start", run.start),
            "rest": identity,
            "torch": torch.__version__,
            "code": provenance.sha256_code(),
        }
    )


@contextmanager
def _deterministic(device: torch.device) -> Iterator[None]:
    """Ask a GPU for algorithms that repeat themselves, or a warning where it has none.

    A CPU's repeat themselves unasked, and asking imports torch's compiler, which takes seconds.
    """
    if device.type == "cpu":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)
