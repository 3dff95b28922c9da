"""What evaluation leaves behind about proofs, after a whole run."""

from __future__ import annotations

import json
from typing import Any

from safetensors.torch import load_file


def test_certified_accuracy_is_measured_and_every_proof_kept(hardened: Any) -> None:
    folder = hardened.run("evaluation")
    metrics = json.loads((folder / "metrics.json").read_text())
    proven = load_file(folder / "proven.safetensors")["proven"]
    assert len(proven) == 60
    assert metrics["certified/accuracy"] == proven.double().mean().item() > 0
