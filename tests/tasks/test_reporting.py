"""The report is written from what a run left behind, and from nothing that has changed since."""

from __future__ import annotations

import base64
import importlib.util
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from hardgate import provenance, records
from hardgate.errors import IntegrityError, ParamsError
from hardgate.evidence import statement
from hardgate.params import Params
from hardgate.records import Decision, FileRecord
from hardgate.reporting import Run
from tasks import _reporting, _store
from tasks._chain import Chain

HISTORY = "epoch,loss,held_out_clean,held_out_robust\n1,0.9,,\n2,0.5,0.71,0.70\n3,0.4,0.78,0.77\n"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def load_examples() -> ModuleType:
    path = Path(__file__).parents[1] / "hardgate" / "reporting" / "examples.py"
    name = "reporting_examples"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


examples = load_examples()


@dataclass
class Project:
    """A project in the working directory, whose last run was about credit."""

    run: Run
    decision: Decision
    page: Path

    @property
    def chain(self) -> Chain:
        return Chain(
            dataset=self.run.dataset,
            corpus=self.run.corpus,
            candidate=self.run.candidate,
            attributions=self.run.attributions,
            evaluation=self.run.evaluation,
        )


def keep(content: bytes, path: str) -> FileRecord:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(content)
    return FileRecord(path=path, sha256=provenance.sha256_bytes(content))


def write_params(params: Params) -> None:
    plain = {key: value for key, value in records.to_plain(params).items() if key != "model"}
    path = plain["dataset"]["path"].replace("credit", "other")
    other = plain | {"dataset": plain["dataset"] | {"path": path}}
    text = yaml.safe_dump({"models": ["credit", "other"], "credit": plain, "other": other})
    Path("params.yaml").write_text(text)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    run = examples.table_run()
    write_params(run.params)
    plot = keep(examples.PIXEL, "runs/credit/explanation/beeswarm.png")
    history = keep(HISTORY.encode(), "runs/credit/training/history.csv")
    chain = {
        "validation": run.dataset,
        "augmentation": run.corpus,
        "training": run.candidate.model_copy(update={"history": history}),
        "explanation": run.attributions.model_copy(update={"plots": (plot,)}),
        "evaluation": run.evaluation,
    }
    for stage, record in chain.items():
        _store.keep(record, model="credit", stage=stage)
    evidence = keep(envelope(run), "runs/credit/promotion/evidence.dsse.json")
    decision = run.decision.model_copy(update={"evidence": evidence})
    records.write(decision, Path("runs/credit/promotion/decision.json"))
    changed = Run(
        **{
            **vars(run),
            "candidate": chain["training"],
            "attributions": chain["explanation"],
            "decision": decision,
        }
    )
    return Project(changed, decision, Path("runs/credit/promotion/report.html"))


def envelope(run: Run, **changes: Any) -> bytes:
    plain = records.to_plain(run.params)
    predicate = statement.Predicate.model_validate(
        {
            "model": "credit",
            "classes": 2,
            "registry": {
                "name": "credit",
                "version": "3",
                "created_at": 1,
                "run_id": "r",
                "source": "s",
            },
            "files": [{"path": "weights.safetensors", "sha256": examples.sha("w")}],
            "model_signature_sha256": examples.sha("signature"),
            "data": run.dataset.source,
            "suite": run.dataset.suite,
            "splits": [{"path": run.dataset.test.path, "sha256": run.dataset.test.sha256}],
            "params": statement.section(plain),
            "threat": statement.section(plain["threat"]),
            "policy": statement.section(plain["promotion"]["gates"]),
            "dvc_lock": statement.section({}),
            "environment": {"path": "requirements.lock", "sha256": examples.sha("lock")},
            "commit": run.candidate.commit,
            "seeds": {"training": 7},
            "measurements": run.measured,
            "outcomes": {
                "sha256": run.evaluation.outcomes.sha256,
                "merkle_root": run.evaluation.merkle_root,
                "leaves": 6000,
                "attacks": ["constrained-pgd"],
            },
            "findings": run.decision.findings,
            "decision": "promotable",
            "submitted_by": "grace",
            "issued_at": NOW,
            "valid_until": NOW + timedelta(days=30),
            **changes,
        }
    )
    payload = statement.payload(statement.state(predicate))
    said = {"payload": base64.b64encode(payload).decode(), "payloadType": "x", "signatures": []}
    return json.dumps(said).encode()


def test_the_report_shows_what_was_signed(project: Project) -> None:
    _reporting.write(project.run.params, project.chain, project.decision, project.page)
    html = project.page.read_text(encoding="utf-8")
    assert "Promotable" in html
    assert "grace" in html
    assert 'href="../validation/data_docs/index.html"' in html
    assert base64.b64encode(examples.PIXEL).decode() in html
    assert "Every decision&#39;s attributions" in html
    assert "held out, under attack from 0.700 to 0.770" in html
    assert "price/standard/clean_auc" in html


def test_a_decision_without_evidence_is_shown_from_the_records(project: Project) -> None:
    decision = project.decision.model_copy(update={"evidence": None})
    _reporting.write(project.run.params, project.chain, decision, project.page)
    html = project.page.read_text(encoding="utf-8")
    assert "grace" not in html
    assert "<dt>Evidence</dt><dd>none</dd>" in html
    assert "robust/worst_case/auc" in html


def test_the_last_run_is_reported_again_the_same(project: Project) -> None:
    _reporting.write(project.run.params, project.chain, project.decision, project.page)
    before = project.page.read_bytes()
    project.page.unlink()
    assert _reporting.rewrite("credit") == project.page
    assert project.page.read_bytes() == before


def test_params_that_have_changed_since_do_not_change_the_report(project: Project) -> None:
    _reporting.rewrite("credit")
    before = project.page.read_bytes()
    threat = project.run.params.threat.model_copy(update={"eps": 9.0})
    write_params(project.run.params.model_copy(update={"threat": threat}))
    _reporting.rewrite("credit")
    assert project.page.read_bytes() == before


def test_a_model_that_was_never_run_is_a_clear_params_error(project: Project) -> None:
    with pytest.raises(ParamsError, match="other has no decision here yet; run hardgate harden"):
        _reporting.rewrite("other")
    with pytest.raises(ParamsError, match="no model 'third'"):
        _reporting.rewrite("third")


@pytest.mark.parametrize(
    "path",
    [
        "runs/credit/promotion/evidence.dsse.json",
        "runs/credit/training/history.csv",
        "runs/credit/explanation/beeswarm.png",
    ],
)
def test_a_file_that_has_changed_or_gone_is_named_and_the_old_report_stays(
    path: str, project: Project
) -> None:
    _reporting.rewrite("credit")
    before = project.page.read_bytes()
    Path(path).write_bytes(Path(path).read_bytes() + b" ")
    with pytest.raises(IntegrityError, match=f"{path} has changed since it was recorded"):
        _reporting.rewrite("credit")
    Path(path).unlink()
    with pytest.raises(IntegrityError, match=f"{path} is missing"):
        _reporting.rewrite("credit")
    assert project.page.read_bytes() == before


def test_a_missing_record_is_named(project: Project) -> None:
    Path("runs/credit/training/record.json").unlink()
    with pytest.raises(IntegrityError, match=r"runs/credit/training/record\.json is missing"):
        _reporting.rewrite("credit")


def test_records_of_a_later_run_are_not_shown_under_an_older_decision(project: Project) -> None:
    later = project.run.evaluation.model_copy(update={"merkle_root": examples.sha("later")})
    _store.keep(later, model="credit", stage="evaluation")
    with pytest.raises(IntegrityError, match="of a later run than its last decision"):
        _reporting.rewrite("credit")


@pytest.mark.parametrize("content", [b"{}", b"nothing", b'{"payload": "%%"}', b"[]"])
def test_evidence_that_is_no_envelope_is_named(content: bytes, project: Project) -> None:
    evidence = keep(content, "runs/credit/promotion/evidence.dsse.json")
    decision = project.decision.model_copy(update={"evidence": evidence})
    with pytest.raises(IntegrityError, match=r"evidence\.dsse\.json is no signed envelope"):
        _reporting.write(project.run.params, project.chain, decision, project.page)
    assert not project.page.exists()


def test_params_of_another_version_of_the_code_are_not_guessed(project: Project) -> None:
    plain = {**records.to_plain(project.run.params), "colour": "blue"}
    forged = envelope(project.run, params=statement.section(plain))
    evidence = keep(forged, "runs/credit/promotion/evidence.dsse.json")
    decision = project.decision.model_copy(update={"evidence": evidence})
    records.write(decision, Path("runs/credit/promotion/decision.json"))
    with pytest.raises(IntegrityError, match="params that this version of the code does not know"):
        _reporting.rewrite("credit")


def test_a_history_of_words_is_an_integrity_error(project: Project) -> None:
    history = keep(b"epoch,loss\n1,nothing\n", "runs/credit/training/history.csv")
    candidate = project.run.candidate.model_copy(update={"history": history})
    chain = project.chain
    chain = chain.model_copy(update={"candidate": candidate})
    with pytest.raises(IntegrityError, match=r"history\.csv holds a cell that is no number"):
        _reporting.write(project.run.params, chain, project.decision, project.page)


def test_numbers_among_the_plots_are_left_where_they_are(project: Project) -> None:
    csv = keep(b"eps,accuracy\n", "runs/credit/explanation/curve.csv")
    chain = project.chain
    attributions = project.run.attributions.model_copy(update={"plots": (csv,)})
    chain = chain.model_copy(update={"attributions": attributions})
    _reporting.write(project.run.params, chain, project.decision, project.page)
    assert "Curve" not in project.page.read_text(encoding="utf-8")


def test_a_refusal_of_data_is_reported_and_can_be_reported_again(project: Project) -> None:
    refusal = examples.refusal()
    records.write(refusal.decision, Path("runs/credit/promotion/decision.json"))
    _reporting.write_refusal(project.run.params, refusal.decision, project.page)
    html = project.page.read_text(encoding="utf-8")
    assert "Data refused" in html
    assert "expect_column_values_to_be_between" in html
    assert 'href="../validation/data_docs/index.html"' in html
    project.page.unlink()
    _reporting.rewrite("credit")
    assert project.page.read_text(encoding="utf-8") == html
