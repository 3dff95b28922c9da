"""Subjects for risks: a model, half of the samples to train on, half to test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hardgate import region
from hardgate.records import InputSpec
from hardgate.samples import Samples
from hardgate.subject import Origin, Subject
from hardgate.threat import Threat
from hardgate.training import Training

Make = Callable[..., Subject]
MakeOrigin = Callable[..., Origin]


@pytest.fixture
def subject_of() -> Make:
    def make(
        model: nn.Module, spec: InputSpec, threat: Threat, inputs: Tensor, labels: Tensor
    ) -> Subject:
        everything, half = Samples(inputs, labels, torch.arange(len(labels))), len(labels) // 2
        test = everything.take(torch.arange(half, len(labels)))
        return Subject(
            model=model,
            spec=spec,
            threat=threat,
            region=region.build(threat, spec),
            train=everything.take(torch.arange(half)),
            held_out=test,
            test=test,
            attacked=torch.arange(len(test)),
            batch_size=100,
            device=torch.device("cpu"),
            seed=1,
        )

    return make


@pytest.fixture
def origin_of(tmp_path: Path) -> MakeOrigin:
    def make(training: Training, subject: Subject) -> Origin:
        return Origin(
            training=training,
            directory=tmp_path,
            scratch=tmp_path,
            raw=lambda: pytest.fail("no raw row is asked for"),
            corpus=lambda: subject.train,
        )

    return make
