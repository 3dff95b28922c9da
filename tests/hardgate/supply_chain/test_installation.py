"""What is imported must be what was installed, and that what was locked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hardgate import telemetry
from hardgate.errors import IntegrityError
from hardgate.supply_chain import installation, locks

CODE = {"alpha/__init__.py": "", "alpha/core.py": "one = 1\n"}


def shadowed(*path: Path) -> list[str]:
    return list(installation.shadowed(installation.read([str(each) for each in path])))


def test_an_honest_installation_has_nothing(packages):
    place = packages({"alpha==1.0": CODE, "Beta_Gamma==2": {"beta.py": "two = 2\n"}})
    assert shadowed(place) == []
    found = installation.read([str(place)])
    assert found.versions == {"alpha": "1.0", "beta-gamma": "2"}


def test_this_very_installation_has_nothing():
    found = installation.read()
    locked = locks.read()
    assert list(installation.shadowed(found)) == []
    assert list(installation.other_versions(found, locked)) == []


def test_a_bundled_copy_of_another_package_is_found_when_both_are_installed(packages):
    """As torchattacks 3.5.1 and robustbench are, of which the later one overwrites the other."""
    bundled = {"attacks/__init__.py": "", "bench/__init__.py": "", "bench/data.py": "old = 1\n"}
    place = packages({"attacks==3.5.1": bundled})
    assert shadowed(place) == []
    place = packages({"bench==1.1": {"bench/__init__.py": "", "bench/data.py": "new = 1\n"}})
    (words,) = shadowed(place)
    assert words.startswith("attacks and bench bring 1 files of the same name")
    assert "bench/data.py" in words


def test_the_same_file_in_two_packages_is_no_conflict(packages):
    """As mlflow and mlflow-skinny share theirs."""
    assert shadowed(packages({"whole==1": CODE, "skinny==1": CODE})) == []


def test_two_copies_of_a_package_on_the_path_are_found(packages):
    first, second = packages({"alpha==1": CODE}), packages({"alpha==2": CODE}, "user/site-packages")
    found = shadowed(first, second)
    assert any("installed twice: 1 in" in words for words in found)
    assert installation.read([str(first), str(second)]).versions == {"alpha": "1"}


@pytest.mark.parametrize("file", ["alpha.py", "alpha/__init__.py", "alpha.cpython-311-x.so"])
def test_a_file_earlier_on_the_path_is_found(packages, tmp_path, file):
    place = packages({"alpha==1": CODE})
    earlier = tmp_path / "start"
    (earlier / file).parent.mkdir(parents=True)
    (earlier / file).write_text("")
    (words,) = shadowed(earlier, place)
    assert "in the place of alpha" in words
    assert shadowed(place, earlier) == []


def test_a_file_in_the_place_of_pythons_own_is_found(packages, tmp_path):
    place = packages({"alpha==1": CODE})
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "random.py").write_text("")
    stdlib = Path(random_file()).parent
    (words,) = shadowed(tmp_path / "start", stdlib, place)
    assert "Python's own random" in words
    assert shadowed(stdlib, tmp_path / "start", place) == []


def random_file() -> str:
    return str(sys.modules["random"].__file__)


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("evil.pth", "import evil\n", "run whenever Python starts"),
        ("sitecustomize.py", "", "run whenever Python starts"),
        ("usercustomize.py", "", "run whenever Python starts"),
        ("stray.py", "", "can be imported"),
        ("stray/__init__.py", "", "can be imported"),
    ],
)
def test_what_no_package_brought_is_found(packages, file, content, words):
    place = packages({"alpha==1": CODE})
    (place / "plain.pth").write_text("/some/folder\n")
    (place / file).parent.mkdir(exist_ok=True)
    (place / file).write_text(content)
    (found,) = shadowed(place)
    assert words in found


def test_a_package_that_lists_no_files_is_found(packages):
    place = packages({"alpha==1": CODE})
    (place / "alpha-1.dist-info" / "RECORD").unlink()
    assert any("does not say which files" in words for words in shadowed(place))


def test_versions_are_compared_with_the_lock(packages):
    found = installation.read([str(packages({"alpha==1": CODE, "beta==2": {}, "hardgate==9": {}}))])
    (other,) = installation.other_versions(found, {"alpha": "1.1", "beta": "2", "gamma": "3"})
    assert "alpha 1 is installed" in other
    assert "says 1.1" in other
    (unlocked,) = installation.not_locked(found, {"alpha": "1"})
    assert "beta 2 is installed" in unlocked


LOCK = """# made by a tool
alpha==1.0 ; python_full_version < '3' \\
    --hash=sha256:00
    # via beta
alpha==2.0 ; python_full_version >= '3' \\
    --hash=sha256:00
Beta.Gamma[extra]==3.1
"""


def test_the_lock_is_read_for_this_python(tmp_path):
    path = tmp_path / "requirements.lock"
    path.write_text(LOCK)
    assert locks.read(path) == {"alpha": "2.0", "beta-gamma": "3.1"}


@pytest.mark.parametrize("text", ["", "# nothing\n", "alpha\n", "alpha>=1\n", "-r other.txt\n"])
def test_what_locks_nothing_is_refused(tmp_path, text):
    path = tmp_path / "requirements.lock"
    path.write_text(text)
    with pytest.raises(IntegrityError, match="lock"):
        locks.read(path)
    with pytest.raises(IntegrityError, match="cannot be read"):
        locks.read(tmp_path / "missing")


INSTALLED = {"prefect": "3", "mlflow": "3", "dvc": "3", "great-expectations": "1", "wandb": "1"}


def on(environment, root=Path("missing")) -> set[str]:
    return {library for library, _ in telemetry.found_on(INSTALLED, environment, root)}


def test_every_library_reports_until_it_is_told_not_to():
    assert on({}) == {*INSTALLED, "prefect-client"}
    assert on(telemetry.SILENCE | {"WANDB_MODE": "offline"}) == set()
    assert on({"MLFLOW_DISABLE_TELEMETRY": "TRUE"}) == on({}) - {"mlflow"}
    assert [*telemetry.found_on({"alpha": "1"}, {}, Path("missing"))] == []


@pytest.mark.parametrize("switch", telemetry.SWITCHES, ids=lambda switch: switch.library)
def test_the_advice_works(switch):
    name, value = switch.advice.removeprefix("set ").split("=")
    assert switch.is_off({name: value})
    assert not switch.is_off({name: {"0": "1", "false": "true"}.get(value, "other")})


def test_a_variable_that_somebody_set_is_left_and_found(monkeypatch):
    for name in telemetry.SILENCE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    telemetry.silence()
    assert on(__import__("os").environ) == {"mlflow", "wandb"}


@pytest.mark.parametrize(
    ("config", "local", "off"),
    [
        ("[core]\n    analytics = false\n", None, True),
        ("[core]\n    analytics = false\n", "[core]\n    analytics = true\n", False),
        ("[core]\n    remote = x\n", None, False),
        ("not a config\n", None, False),
    ],
)
def test_dvc_is_asked_in_its_own_files(tmp_path, config, local, off):
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text(config)
    if local is not None:
        (tmp_path / ".dvc" / "config.local").write_text(local)
    assert ("dvc" not in on({}, tmp_path)) == off
