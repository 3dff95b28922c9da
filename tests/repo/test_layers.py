"""Who may know whom: flows, then tasks and expectations, then hardgate."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APPLICATION = {"prefect", "mlflow", "great_expectations", "flows", "tasks", "expectations"}
EXCEPTED = ("hardgate/registry/", "hardgate/cli.py")


def modules(folder: str) -> list[Path]:
    return [path.relative_to(ROOT) for path in sorted((ROOT / folder).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))))
    names = {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module}
    names |= {alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names}
    return {name.split(".")[0] for name in names}


def library() -> list[Path]:
    return [path for path in modules("hardgate") if not path.as_posix().startswith(EXCEPTED)]


@pytest.mark.parametrize("path", library(), ids=str)
def test_library_never_imports_the_application(path):
    assert not imported(path) & APPLICATION


@pytest.mark.parametrize("path", modules("tasks"), ids=str)
def test_tasks_never_import_flows(path):
    assert "flows" not in imported(path)


@pytest.mark.parametrize("path", modules("flows"), ids=str)
def test_flows_do_no_arithmetic(path):
    assert not imported(path) & {"torch", "numpy", "pandas", "mlflow", "great_expectations"}


def test_one_file_alone_speaks_to_torchattacks():
    speakers = [path.as_posix() for path in library() if "torchattacks" in imported(path)]
    assert speakers == ["hardgate/attacks/images.py"]


def test_nothing_reads_a_file_that_could_run_code():
    forbidden = {("pickle", "load"), ("pickle", "loads"), ("torch", "load"), ("joblib", "load")}
    for path in [*modules("hardgate"), *modules("tasks"), *modules("flows")]:
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in forbidden, f"{path}:{node.lineno}"
