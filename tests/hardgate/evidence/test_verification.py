"""Whatever is changed, by one byte, the check that speaks of it fails and names it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardgate import provenance
from hardgate.evidence import model_signature, outcomes, signing, statement, verification
from hardgate.records import Measurement, Verdict

NAMES = [
    "signature",
    "statement",
    "date",
    "model directory",
    "model signature",
    "raw data and suite",
    "splits",
    "params",
    "threat",
    "gate policy",
    "dvc.lock",
    "environment",
    "commit",
    "outcomes",
    "measurements",
    "gates",
    "decision",
    "registry",
    "spot check",
]


def flip(path: Path, position: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_untouched_evidence_passes_every_numbered_check(case: Any) -> None:
    checks = case.verify()
    assert [(check.number, check.name) for check in checks] == list(enumerate(NAMES, 1))
    assert verification.holds(checks), [check.words for check in checks if not check.passed]
    assert all(check.words for check in checks)


def test_no_checks_at_all_do_not_hold() -> None:
    assert not verification.holds(())


def test_without_a_spot_check_the_list_ends_with_the_registry(case: Any) -> None:
    checks = case.on(spot=None).verify()
    assert [check.name for check in checks] == NAMES[:-1]
    assert verification.holds(checks)


@pytest.mark.parametrize(
    ("file", "broken", "named"),
    [
        ("model/data/weights.safetensors", {"model directory", "model signature"}, "weights"),
        ("model/MLmodel", {"model directory", "model signature"}, "MLmodel"),
        ("raw.csv", {"raw data and suite"}, "raw.csv"),
        ("suite.json", {"raw data and suite"}, "suite.json"),
        ("runs/test.safetensors", {"splits", "spot check"}, "test.safetensors"),
        ("requirements.lock", {"environment"}, "requirements.lock"),
        (
            "outcomes.jsonl",
            {"outcomes", "measurements", "spot check"},
            "outcomes.jsonl",
        ),
        ("model.sig", {"model signature"}, "model.sig"),
        ("fgsm.safetensors", {"spot check"}, "sample 39"),
    ],
)
def test_one_changed_byte_fails_the_check_that_names_the_file(
    case: Any, file: str, broken: set[str], named: str
) -> None:
    everything = case.ground.spot
    case = case.on(spot=replace(everything, samples=1000))
    flip(case.ground.root / file, -2)
    failed = case.failed()
    assert failed.keys() == broken
    assert any(named in words for words in failed.values()), failed


@pytest.mark.parametrize("file", ["raw.csv", "requirements.lock", "outcomes.jsonl", "model.sig"])
def test_a_missing_file_has_failed(case: Any, file: str) -> None:
    (case.ground.root / file).unlink()
    failed = case.failed()
    assert any(file in words for words in failed.values()), failed


def test_every_single_byte_of_the_envelope_counts(case: Any) -> None:
    ground = case.ground
    whole = ground.evidence.read_bytes()
    for position in {*range(0, len(whole), 97), *range(len(whole) - 250, len(whole))}:
        ground.evidence.write_bytes(whole)
        flip(ground.evidence, position)
        checks = case.verify()
        assert [check.passed for check in checks] == [False], position
        assert checks[0].name == "signature"


def test_a_truncated_envelope_is_refused_in_words(case: Any) -> None:
    ground = case.ground
    whole = ground.evidence.read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        ground.evidence.write_bytes(whole[:length])
        (check,) = case.verify()
        assert not check.passed
        assert "cut off" in check.words or "changed" in check.words


def test_truncated_outcomes_are_refused_in_words(case: Any) -> None:
    path = case.ground.outcomes
    path.write_bytes(path.read_bytes()[:-40])
    assert "cut off" in case.failed()["outcomes"]


def test_outcomes_without_their_last_line_are_not_the_signed_ones(case: Any) -> None:
    path = case.ground.outcomes
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    assert "Merkle root" in case.failed()["outcomes"]


def test_an_extra_file_in_the_model_is_named(case: Any) -> None:
    (case.ground.directory / "sitecustomize.py").write_text("import os\n")
    failed = case.failed()
    assert "sitecustomize.py is extra" in failed["model directory"]
    assert "sitecustomize.py" in failed["model signature"]


def test_a_hidden_file_in_the_model_is_named_too(case: Any) -> None:
    (case.ground.directory / ".gitattributes").write_text("x\n")
    assert case.failed().keys() == {"model directory", "model signature"}


def test_a_missing_file_of_the_model_is_named(case: Any) -> None:
    (case.ground.directory / "MLmodel").unlink()
    assert "MLmodel is missing" in case.failed()["model directory"]


def test_a_link_in_the_model_is_refused(case: Any, tmp_path: Path) -> None:
    (case.ground.directory / "extra").symlink_to(tmp_path, target_is_directory=True)
    assert "extra is a link" in case.failed()["model directory"]


def test_the_note_of_mlflows_download_is_not_of_the_model(case: Any) -> None:
    (case.ground.directory / "registered_model_meta").write_text("model_name: tiny\n")
    assert case.failed() == {}


@pytest.mark.parametrize(
    ("changes", "broken", "named"),
    [
        (
            {"params": {"seed": 7, "threat": {"norm": "Linf", "eps": 0.1}, "training": {}}},
            "params",
            "params.threat.eps is 0.1, the evidence says 0.2",
        ),
        ({"params": {"seed": 7}}, "params", "params.training is missing"),
        ({"threat": {"norm": "L2", "eps": 0.2}}, "threat", 'threat.norm is "L2"'),
        (
            {"policy": [{"kind": "robust_accuracy", "bound": 0.1}]},
            "gate policy",
            "policy[0].bound is 0.1, the evidence says 0.05",
        ),
        ({"policy": []}, "gate policy", "policy is []"),
        ({"dvc_lock": None}, "dvc.lock", "dvc.lock is null"),
        ({"registry": None}, "registry", "no version 1 of tiny"),
    ],
)
def test_a_changed_section_fails_and_names_the_key(
    case: Any, changes: dict[str, Any], broken: str, named: str
) -> None:
    failed = case.on(**changes).failed()
    assert failed.keys() == {broken}
    assert named in failed[broken]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "other"),
        ("version", "2"),
        ("created_at", 1),
        ("run_id", "b" * 32),
        ("source", "models:/m-2"),
    ],
)
def test_another_registry_entry_fails_and_names_the_field(
    case: Any, field: str, value: str | int
) -> None:
    entry = case.ground.registry.model_copy(update={field: value})
    failed = case.on(registry=entry).failed()
    assert failed.keys() == {"registry"}
    assert f"registry.{field}" in failed["registry"]


@pytest.mark.parametrize(("days", "said"), [(-2, "yet to come"), (6, "expired"), (400, "expired")])
def test_evidence_out_of_its_time_fails(case: Any, days: int, said: str) -> None:
    failed = case.on(now=case.ground.now + timedelta(days=days)).failed()
    assert failed.keys() == {"date"}
    assert said in failed["date"]


def test_a_foreign_key_is_not_trusted(case: Any, tmp_path: Path) -> None:
    foreign = signing.open_signer(
        f"file2:{tmp_path / 'foreign' / 'evidence.pem'}", trusted=tmp_path / "foreign" / "trusted"
    )
    payload = statement.payload(statement.state(case.predicate))
    case.ground.evidence.write_bytes(signing.sign(payload, foreign))
    (check,) = case.verify()
    assert not check.passed
    assert "none of them trusted" in check.words


def test_evidence_of_another_model_cannot_be_replayed(
    case: Any, make_case: Callable[..., Any], tmp_path: Path
) -> None:
    other = make_case(tmp_path / "other", model="other")
    for file in (tmp_path / "other" / "keys" / "trusted").iterdir():
        shutil.copy(file, case.ground.trusted)  # the same team, so its keys are trusted
    failed = case.on(
        evidence=other.ground.evidence, model_signature=other.ground.model_signature
    ).failed()
    assert failed.keys() >= {"statement", "model directory", "model signature", "registry"}
    assert "'other', not 'tiny'" in failed["statement"]


def test_a_signed_payload_of_another_kind_ends_the_list(case: Any) -> None:
    signer = signing.open_signer(f"file2:{case.private}", trusted=case.ground.trusted)
    case.ground.evidence.write_bytes(signing.sign(b'{"_type":"x"}', signer))
    first, second = case.verify()
    assert first.passed
    assert not second.passed
    assert "predicate" in second.words or "_type" in second.words


def test_another_signature_of_the_same_bytes_is_not_the_one_in_the_evidence(case: Any) -> None:
    ground = case.ground
    private = ground.root / "keys" / "model.pem"
    model_signature.sign(
        ground.directory, ground.model_signature, private=private, trusted=ground.trusted
    )
    failed = case.failed()
    assert failed.keys() == {"model signature"}
    assert "not the one the evidence was made with" in failed["model signature"]


@pytest.mark.parametrize("change", [{"leaves": 41}, {"attacks": ("fgsm",)}])
def test_outcomes_of_other_size_or_attacks_than_signed_are_named(
    case: Any, change: dict[str, Any]
) -> None:
    record = case.predicate.outcomes.model_copy(update=change)
    failed = case.signed_again(outcomes=record).failed()
    assert "40 outcomes of fgsm, slow; the evidence says" in failed["outcomes"]


@pytest.mark.parametrize("commit", ["c" * 40 + "+changes", "not under version control", ""])
def test_evidence_made_by_uncommitted_code_fails(case: Any, commit: str) -> None:
    failed = case.signed_again(commit=commit).failed()
    assert failed.keys() == {"commit"}
    assert "commit, and harden" in failed["commit"]


def test_evidence_made_by_an_earlier_commit_passes_and_says_so(case: Any) -> None:
    checks = case.on(commit="d" * 40 + "+changes").verify()
    assert verification.holds(checks)
    assert "verified by dddd" in checks[12].words


def test_a_signed_number_that_the_outcomes_do_not_give_is_named(case: Any) -> None:
    better = Measurement(value=0.99, lower=0.98, upper=1.0, samples=40, interval="wilson")
    for name in ("clean/accuracy", "robust/fgsm/accuracy", "robust/slow/auc"):
        signed = {**case.predicate.measurements, name: better}
        failed = case.signed_again(measurements=signed).failed()
        assert failed.keys() == {"measurements"}
        assert name in failed["measurements"]
        assert "signed 0.9900" in failed["measurements"]


def test_a_better_interval_around_the_right_value_is_found(case: Any) -> None:
    name = "robust/worst_case/auc"
    honest = case.predicate.measurements[name]
    better = honest.model_copy(update={"lower": honest.value})
    signed = {**case.predicate.measurements, name: better}
    assert name in case.signed_again(measurements=signed).failed()["measurements"]


def test_a_number_of_an_attack_without_outcomes_is_named(case: Any) -> None:
    honest = case.predicate.measurements["robust/fgsm/accuracy"]
    signed = {**case.predicate.measurements, "robust/pgd/accuracy": honest}
    failed = case.signed_again(measurements=signed).failed()
    assert "robust/pgd/accuracy is signed, but no outcomes" in failed["measurements"]


def test_findings_that_the_gates_do_not_find_again_are_named(case: Any) -> None:
    (honest,) = case.predicate.findings
    forged = honest.model_copy(update={"bound": 0.1})
    failed = case.signed_again(findings=(forged,)).failed()
    assert failed.keys() == {"gates"}
    assert "robust_accuracy/worst_case" in failed["gates"]


def test_a_gate_left_out_of_the_evidence_is_named(case: Any) -> None:
    def stricter(measurements: Any) -> Any:
        (finding,) = case.ground.judge(measurements)
        return finding, finding.model_copy(update={"gate": "clean", "verdict": Verdict.FAILED})

    assert "clean finds failed" in case.on(judge=stricter).failed()["gates"]


def test_another_verdict_on_the_same_number_is_named(case: Any) -> None:
    (honest,) = case.predicate.findings
    stricter = honest.model_copy(update={"verdict": Verdict.FAILED})
    failed = case.on(judge=lambda _: [stricter]).failed()
    assert failed["gates"] == "robust_accuracy/worst_case finds failed, signed passed"


def test_a_finding_that_lost_its_number_is_named(case: Any) -> None:
    (honest,) = case.predicate.findings
    unseen = honest.model_copy(update={"observed": None})
    assert case.on(judge=lambda _: [unseen]).failed().keys() == {"gates"}
    assert case.signed_again(findings=(unseen,)).failed().keys() == {"gates"}


def test_a_gate_that_speaks_twice_is_refused(case: Any) -> None:
    (honest,) = case.predicate.findings
    failed = case.signed_again(findings=(honest, honest)).failed()
    assert failed == {"gates": "a gate is found twice"}


def test_numbers_of_which_none_follows_from_the_outcomes_are_refused(case: Any) -> None:
    name = "explanation/additivity_error"
    (honest,) = case.predicate.findings
    case = case.signed_again(measurements={name: case.predicate.measurements[name]})
    failed = case.on(judge=lambda _: [honest]).failed()
    assert failed == {"measurements": "no signed measurement follows from the outcomes"}


def test_the_wording_of_a_finding_may_change(case: Any) -> None:
    def reworded(measurements: Any) -> Any:
        return [f.model_copy(update={"message": "x"}) for f in case.ground.judge(measurements)]

    assert case.on(judge=reworded).failed() == {}


def test_outcomes_forged_and_signed_are_found_by_running_them_again(case: Any) -> None:
    """The insider holds the key and makes everything agree; only the model disagrees."""
    stored = outcomes.read(case.ground.outcomes)
    known = stored.outcomes
    fgsm = known.attacks["fgsm"]
    flattered = replace(
        fgsm, predictions=known.labels.copy(), probabilities=np.ones_like(fgsm.probabilities)
    )
    forged = outcomes.write(
        replace(known, attacks={**known.attacks, "fgsm": flattered}), case.ground.outcomes
    )
    from hardgate.evidence import recomputation

    measured = recomputation.recompute(forged.outcomes, classes=2)
    record = case.predicate.outcomes.model_copy(
        update={"sha256": forged.sha256, "merkle_root": forged.tree.root.hex()}
    )
    findings = case.ground.judge(measured)
    case = case.signed_again(
        outcomes=record,
        measurements=measured,
        findings=findings,
        decision=statement.decide(findings),
    )
    failed = case.failed()
    assert failed.keys() == {"spot check"}
    assert "fgsm: the model" in failed["spot check"]


def test_an_unreadable_folder_of_keys_fails_in_words(case: Any) -> None:
    case.ground.trusted.chmod(0o777)
    (check,) = case.verify()
    assert "chmod go-w" in check.words


def test_verifying_imports_neither_torch_nor_model_signing_before_it_must() -> None:
    program = (
        "import sys; from hardgate.evidence import verification;"
        "print({'torch', 'model_signing', 'scipy', 'securesystemslib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stdout + done.stderr


def test_what_is_attached_must_be_what_was_signed(case: Any) -> None:
    beside = case.ground.evidence.parent / "bom.cdx.json"
    beside.write_text("{}")
    assert "attachments" not in {check.name for check in case.verify()}
    signed = case.signed_again(attachments={beside.name: provenance.sha256_file(beside)})
    assert {check.name for check in signed.verify()} >= {"attachments"}
    assert signed.failed() == {}
    beside.write_text("{ }")
    assert "bom.cdx.json" in signed.failed()["attachments"]
    beside.unlink()
    assert "bom.cdx.json" in signed.failed()["attachments"]
