"""Versions in a row, on real servers: what one inherits from another, and what it may not lose."""

from __future__ import annotations

import base64
import json
import subprocess
import sys

import pytest

from hardgate import params, records
from hardgate.errors import IntegrityError, ParamsError
from hardgate.records import CandidateRecord, CorpusRecord, Verdict
from tasks import _champion, _versions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SETTINGS = [
    "tiny.threat.eps=0.25",
    "tiny.training.defense={recipe: pgd, step_size: 0.08, steps: 5}",
    "tiny.training.epochs=10",
    "tiny.training.early_stopping={every: 1, steps: 2, step_size: 0.15, samples: 80, patience: 10,"
    " score: auc}",
    "tiny.evaluation.attacks.0.step_size=0.125",
    "tiny.evaluation.curve.attack.step_size=0.25",
    "tiny.explanation.attack.step_size=0.125",
    "tiny.promotion.gates=[{kind: data_contract, min_samples: 100},"
    " {kind: negative_flips, under_attack: false, bound: 0.1, min_samples: 100},"
    " {kind: negative_flips, under_attack: true, bound: 0.1, min_samples: 100}]",
]
REPLAY = (
    "tiny.augmentation.members=[{name: noise, share: 0.1, scale: 0.05}, {name: replay, share: 0.2,"
    " versions: 2, attack: {name: constrained-pgd, step_size: 0.125, steps: 5, restarts: 1,"
    " check_every: 5}}]"
)
CHAMPION = "tiny.training.start=champion"
TUNED = (CHAMPION, REPLAY, "tiny.training.optimiser.rate=0.002")  # a tenth of what begins anew


@pytest.fixture
def approve(servers):
    """Name a version champion, past the server: who may is asked in tests/hardgate/registry."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

        store = SqlAlchemyStore(f"sqlite:///{servers.database}")
        yield lambda version: store.set_registered_model_alias("tiny", "champion", version)
        store.delete_registered_model_alias("tiny", "champion")


def signed(visited, run):
    """Read what the evidence of a run says."""
    envelope = json.loads((visited.project.root / run.decision.evidence.path).read_text())
    return json.loads(base64.b64decode(envelope["payload"]))["predicate"]


def record(visited, stage, kind):
    return records.read(kind, visited.project.run(stage) / "record.json")


def verdicts(run):
    return {finding.gate: finding.verdict for finding in run.decision.findings}


def test_versions_in_a_row(visited, approve, monkeypatch, tmp_path):
    params.override("tiny", SETTINGS)

    # Without a champion: from scratch, said so, and nothing that could flip.
    first = visited.harden(CHAMPION)
    found = signed(visited, first)
    assert first.decision.promoted
    assert record(visited, "training", CandidateRecord).start is None
    assert found["lineage"]["champion"] is found["lineage"]["start"] is None
    assert found["measurements"]["negative_flips/under_attack"]["interval"] == "exact"
    approve(first.decision.version)

    # The next one begins with it, and what it loses is counted.
    second = visited.harden(*TUNED)
    assert second.decision.promoted, verdicts(second)
    start = record(visited, "training", CandidateRecord).start
    assert start is not None and start.version == first.decision.version
    found = signed(visited, second)
    assert found["lineage"]["champion"] == found["lineage"]["start"] == start.model_dump()
    assert found["lineage"]["earlier"] == [start.model_dump()]
    assert found["measurements"]["champion/exists"]["value"] == 1
    for situation in ("clean", "under_attack"):
        assert found["measurements"][f"negative_flips/{situation}"]["interval"] == "wilson"
    assert found["measurements"]["regression/inputs"]["value"] > 0
    assert found["measurements"]["regression/champion_error"]["value"] == 1  # they all fooled it
    report = (visited.project.root / second.decision.report).read_text()
    assert f"with version {start.version}" in report
    assert "What this version loses against the champion" in report
    assert visited.harden(*TUNED).decision == second.decision  # nothing to do

    # One that is trained the standard way on the same data reopens what was closed.
    planted = visited.harden("tiny.training.defense={recipe: standard}")
    assert not planted.decision.promoted
    refusing = [gate for gate, said in verdicts(planted).items() if said is not Verdict.PASSED]
    assert refusing == ["negative_flips/under_attack"]

    # Another champion: DVC sees no change, the flow does, and the lineage is followed back.
    approve(second.decision.version)
    third = visited.harden(*TUNED)
    assert third.stages["augmentation"] == third.stages["training"] == "run"
    corpus = record(visited, "augmentation", CorpusRecord)
    versions = [second.decision.version, first.decision.version]
    assert [each.version for each in corpus.earlier] == versions
    made = record(visited, "training", CandidateRecord)
    assert made.start == corpus.earlier[0]

    # DVC's door leads to the same weights.
    params.override("tiny", TUNED)
    subprocess.run([sys.executable, "-m", "tasks.training", "tiny"], check=True)
    again = record(visited, "training", CandidateRecord)
    assert (again.start, again.model_sha256) == (made.start, made.model_sha256)

    # Of another split it may know today's test samples; signed by strangers it is not believed.
    with pytest.raises(ParamsError, match="trained with seed = 7, today's is 8"):
        _versions.start(params.override("tiny", ["tiny.seed=8"]))
    # Nor may it know rows that are set aside today.
    aside = visited.project.data.with_name("aside.csv")
    aside.write_text("row,identity,reason\n")
    with pytest.raises(ParamsError, match=r"the champion was trained without today's .*aside\.csv"):
        _versions.start(
            params.override(
                "tiny", ["tiny.seed=7", "tiny.validation.quarantine=data/tiny/aside.csv"]
            )
        )
    params.override("tiny", ["tiny.validation.quarantine=null"])
    monkeypatch.setenv("HARDGATE_HOME", str(tmp_path / "stranger"))
    with pytest.raises(IntegrityError, match="cannot be learned from or compared with"):
        _versions.start(params.override("tiny", ["tiny.seed=7"]))
    assert _champion.believed("tiny", second.decision.version) is None
