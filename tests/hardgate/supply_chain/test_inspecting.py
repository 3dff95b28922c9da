"""What was found becomes exact measurements, and the gates refuse each planted case."""

from __future__ import annotations

import json
import os
import pickle
from datetime import date
from pathlib import Path

import pytest

from hardgate import measurements, telemetry
from hardgate.errors import IntegrityError
from hardgate.gates.advisories import AdvisoriesGate
from hardgate.gates.artifact_safety import ArtifactSafetyGate
from hardgate.gates.installation import InstallationGate
from hardgate.records import Verdict
from hardgate.supply_chain import advisories, doctor, inspecting, installation

TODAY = date(2026, 3, 1)
FILES = ArtifactSafetyGate(kind="artifact_safety", min_samples=5)
INSTALLED = InstallationGate(kind="installation", min_samples=2)
KNOWN = AdvisoriesGate(kind="advisories", severity="high", max_days=365, min_samples=2)
CODE = {"torch/__init__.py": "", "torch/core.py": "one = 1\n"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A root with a lock, and a state folder with a snapshot of advisories."""
    monkeypatch.setenv("HARDGATE_HOME", str(tmp_path / "home"))
    root = tmp_path / "project"
    root.mkdir()
    (root / "requirements.lock").write_text("torch==2.6.0\nnumpy==2.4.6\nmlflow==3\npandas==3\n")
    know(TODAY)
    return root


def know(as_of: date, asked=("mlflow", "numpy", "torch"), fixed="2.6.0", severity="HIGH") -> None:
    known = {
        "id": "GHSA-1",
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": "torch"},
                "ranges": [
                    {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}
                ],
            }
        ],
        "database_specific": {"severity": severity},
    }
    snapshot = {
        "schema_version": 1,
        "as_of": as_of.isoformat(),
        "source": "test",
        "asked": list(asked),
        "advisories": [known],
    }
    advisories.place().write_text(json.dumps(snapshot))


@pytest.fixture(autouse=True)
def _nothing_comes_along(monkeypatch):
    monkeypatch.setattr(advisories, "BUNDLED", Path("missing"))


@pytest.fixture
def installed(packages):
    def read(**changes: str) -> installation.Installation:
        versions = {"torch": "2.6.0", "numpy": "2.4.6", "mlflow": "3"} | changes
        wanted = {
            f"{name}=={version}": {f"{name}/__init__.py": "", f"{name}/core.py": "one = 1\n"}
            for name, version in versions.items()
        }
        return installation.read([str(packages(wanted))])

    return read


def look(project, found, environment=telemetry.SILENCE, today=TODAY):
    return inspecting.inspect(project, today=today, environment=environment, installed=found)


def test_an_honest_chain_passes_every_gate(project, installed, model):
    found = inspecting.with_files(look(project, installed()), model, root=project)
    assert found.words == ()
    for gate in (FILES, INSTALLED, KNOWN):
        assert gate.judge(found.measurements).verdict is Verdict.PASSED
    assert all(seen.interval == "exact" for seen in found.measurements.values())
    assert set(found.measurements) == set(inspecting.SAID)
    assert found.measurements[measurements.SNAPSHOT_DATE].value == 20260301


def test_a_pickle_in_the_model_is_refused(project, installed, model):
    (model / "data" / "model" / "weights.pkl").write_bytes(pickle.dumps({"a": 1}))
    found = inspecting.with_files(look(project, installed()), model, root=project)
    assert FILES.judge(found.measurements).verdict is Verdict.FAILED
    assert found.words == ("data/model/weights.pkl: is a pickle, which runs code when it is read",)


def test_a_directory_of_nothing_is_not_a_safe_one(project, installed, tmp_path):
    (tmp_path / "empty").mkdir()
    found = inspecting.with_files(look(project, installed()), tmp_path / "empty", root=project)
    assert FILES.judge(found.measurements).verdict is Verdict.UNMEASURED
    gone = inspecting.with_files(look(project, installed()), tmp_path / "gone", root=project)
    assert FILES.judge(gone.measurements).verdict is not Verdict.PASSED


@pytest.mark.parametrize(
    ("severity", "fixed", "verdict"),
    [
        ("HIGH", "2.7", Verdict.FAILED),
        ("CRITICAL", "2.7", Verdict.FAILED),
        ("UNHEARD OF", "2.7", Verdict.FAILED),
        ("MODERATE", "2.7", Verdict.PASSED),
        ("HIGH", "2.6.0", Verdict.PASSED),
    ],
)
def test_an_advisory_on_an_installed_package_is_refused(
    project, installed, severity, fixed, verdict
):
    know(TODAY, severity=severity, fixed=fixed)
    assert KNOWN.judge(look(project, installed()).measurements).verdict is verdict


@pytest.mark.parametrize(
    ("as_of", "verdict"),
    [
        (date(2025, 3, 1), Verdict.PASSED),
        (date(2025, 2, 28), Verdict.FAILED),
        (date(2026, 3, 2), Verdict.UNMEASURED),
    ],
)
def test_an_old_snapshot_and_one_of_the_future_are_refused(project, installed, as_of, verdict):
    know(as_of)
    finding = KNOWN.judge(look(project, installed()).measurements)
    assert finding.verdict is verdict
    assert verdict is not Verdict.FAILED or "hardgate doctor --update" in finding.message


def test_a_snapshot_that_speaks_of_too_little_is_refused(project, installed):
    know(TODAY, asked=("torch", "beta", "gamma"))
    assert KNOWN.judge(look(project, installed()).measurements).verdict is Verdict.UNMEASURED
    know(TODAY, asked=("gamma",))
    assert KNOWN.judge(look(project, installed()).measurements).verdict is Verdict.UNMEASURED


def test_no_snapshot_at_all_ends_the_run(project, installed):
    advisories.place().unlink()
    with pytest.raises(IntegrityError, match="hardgate doctor --update"):
        look(project, installed())


def test_a_shadowed_package_is_refused(project, installed, packages):
    packages({"evil==1": {"torch/__init__.py": "", "torch/core.py": "import evil\n"}})
    found = look(project, installed())
    assert INSTALLED.judge(found.measurements).verdict is Verdict.FAILED
    assert any("evil and torch bring" in words for words in found.words)


def test_another_version_is_refused(project, installed):
    other = look(project, installed(torch="2.5.0"))
    assert INSTALLED.judge(other.measurements).verdict is Verdict.FAILED
    assert other.measurements[measurements.OTHER_VERSION].value == 1


def test_an_unlocked_package_is_refused(project, installed):
    unlocked = look(project, installed(torhc="1"))
    assert unlocked.measurements[measurements.NOT_LOCKED].value == 1
    assert INSTALLED.judge(unlocked.measurements).verdict is Verdict.FAILED


def test_telemetry_is_refused(project, installed):
    found = look(project, installed(), environment={})
    assert INSTALLED.judge(found.measurements).verdict is Verdict.FAILED
    assert "MLFLOW_DISABLE_TELEMETRY" in found.words[0]


def test_a_decision_rests_on_all_but_the_age(project, installed):
    first = look(project, installed())
    assert look(project, installed(), today=date(2026, 3, 2)).sha256 == first.sha256
    know(date(2026, 2, 1))
    assert look(project, installed()).sha256 != first.sha256
    know(TODAY)
    assert look(project, installed(torhc="1")).sha256 != first.sha256


@pytest.fixture
def home(project):
    place = Path(os.environ["HARDGATE_HOME"])
    place.chmod(0o700)
    return place


def failed(items) -> dict[str, str]:
    return {item.name: " ".join(item.found) for item in items if not item.passed}


def test_the_doctor_finds_nothing_in_this_installation_but_what_the_lock_says(project, home):
    items = doctor.examine(Path(), home=home, today=TODAY)
    assert [item.name for item in items] == [
        *("Python", "locked versions", "shadowed packages", "telemetry", "advisories"),
        *("age of the snapshot", "state folder", "private keys", "trust store"),
    ]
    assert failed(items).keys() <= {"locked versions", "telemetry"}  # of whoever runs the tests


def test_the_doctor_finds_what_is_open(project, home):
    from hardgate.evidence import signing

    signing.open_signer(
        f"file2:{home / 'keys' / 'evidence.pem'}", trusted=home / "keys" / "trusted"
    )
    assert not failed(doctor.examine(Path(), home=home, today=TODAY)).keys() & {
        "private keys",
        "trust store",
        "state folder",
    }
    (home / "keys" / "evidence.pem").chmod(0o644)
    (public,) = (home / "keys" / "trusted").iterdir()
    public.rename(public.with_name("f" * 64 + ".pub.pem"))
    home.chmod(0o755)
    found = failed(doctor.examine(Path(), home=home, today=date(2036, 1, 1)))
    assert "chmod 600" in found["private keys"]
    assert "changed or misnamed" in found["trust store"]
    assert "chmod 700" in found["state folder"]
    assert "hardgate doctor --update" in found["age of the snapshot"]


def test_the_doctor_says_so_when_there_is_no_lock(tmp_path, home):
    found = failed(doctor.examine(tmp_path, home=home, today=TODAY))
    assert "make lock" in found["packages"]


def test_the_doctor_makes_nothing(project, tmp_path, monkeypatch):
    monkeypatch.setenv("HARDGATE_HOME", str(tmp_path / "nowhere"))
    monkeypatch.undo()
    monkeypatch.setenv("HARDGATE_HOME", str(tmp_path / "nowhere"))
    doctor.examine(Path(), home=tmp_path / "nowhere", today=TODAY)
    assert not (tmp_path / "nowhere").exists()
