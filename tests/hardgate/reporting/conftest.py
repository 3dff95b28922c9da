from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def examples() -> ModuleType:
    return load_examples()


def load_examples() -> ModuleType:
    """Tests are no packages, so what they share is loaded by its path."""
    name = "reporting_examples"
    if name not in sys.modules:
        path = Path(__file__).with_name("examples.py")
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
