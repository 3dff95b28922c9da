"""A model directory as the registry gives it back, and made-up installations."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

LOCKED = frozenset({"mlflow", "torch", "numpy", "pandas"})
MLMODEL = """artifact_path: file:///srv/registry/models/m-1/artifacts
flavors:
  python_function:
    code: null
    data: data/model
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: hardgate.serving
    python_version: 3.11.7
    streamable: false
mlflow_version: 3.17.2
run_id: dcced78d02df4a7fb522f3e0d61754b1
signature:
  inputs: '[{"type": "any", "name": "mean radius", "required": true}]'
"""
CONDA = """channels:
- conda-forge
dependencies:
- python=3.11.7
- pip<=26.3
- pip:
  - mlflow==3.17.2
  - hardgate==0.1.0
  - torch==2.15.0+cpu
name: mlflow-env
"""
ENVIRONMENT = """python: 3.11.7
build_dependencies:
- pip==26.3
- setuptools==84.2.1
- wheel
dependencies:
- -r requirements.txt
"""
WEIGHTS = {"1.weight": torch.arange(600.0).reshape(20, 30), "1.bias": torch.zeros(20)}
HONEST: Mapping[str, str | bytes] = {
    "MLmodel": MLMODEL,
    "conda.yaml": CONDA,
    "python_env.yaml": ENVIRONMENT,
    "requirements.txt": "mlflow==3.17.2\nhardgate==0.1.0\ntorch==2.15.0\nnumpy==2.4.6\n",
    "input_example.json": json.dumps({"columns": ["Länge", "pay"], "data": [[1.5, float("nan")]]}),
    "data/model/architecture.json": json.dumps({"architecture": {"name": "mlp", "hidden": [8]}}),
    "data/model/weights.safetensors": save(WEIGHTS),
    "registered_model_meta": "model_name: tiny\nmodel_version: '1'\n",
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A directory that nothing is wrong with."""
    root = tmp_path / "model"
    for name, content in HONEST.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


Packages = Callable[[Mapping[str, Mapping[str, str]]], Path]


@pytest.fixture
def packages(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder of packages: ``{"name==version": {"file": "content"}}``, as installers do."""

    def make(wanted: Mapping[str, Mapping[str, str]], folder: str = "lib/site-packages") -> Path:
        place = tmp_path / folder
        for package, files in wanted.items():
            name, _, version = package.partition("==")
            info = place / f"{name}-{version}.dist-info"
            info.mkdir(parents=True, exist_ok=True)
            (info / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            )
            rows = [f"{info.name}/METADATA,,", f"{info.name}/RECORD,,"]
            for file, content in files.items():
                path = place / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
                digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest())
                rows.append(f"{file},sha256={digest.decode().rstrip('=')},{len(content)}")
            (info / "RECORD").write_text("\n".join(rows) + "\n")
        return place

    return make
