"""A long table fits into little memory: a few times its encoded matrix."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS = 1_000_000
MEASURE = """
import json, resource, sys
from pathlib import Path
from hardgate import splits
from hardgate.datasets import Table

names = json.loads(sys.argv[2])
table = Table(kind="table", path="rows.parquet", target="y", categorical=tuple(names))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
raw = table.load(Path(sys.argv[1]))
assignment = splits.assign(raw, splits.Shares(held_out=0.1, test=0.2), seed=1)
audit = splits.audit(raw, assignment)
inputs, labels, spec = table.encode(raw, assignment.rows("train"))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sys.stdout.write(json.dumps({"shape": inputs.shape, "kib": peak - before}))
"""


@pytest.mark.slow
def test_a_million_rows_are_loaded_split_and_encoded_within_half_a_gibibyte(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    colours = np.array(["red", "green", "blue"])
    columns = {f"x{at}": generator.normal(size=ROWS) for at in range(20)}
    columns |= {f"c{at}": colours[generator.integers(0, 3, ROWS)] for at in range(4)}
    pq.write_table(
        pa.table({**columns, "y": generator.integers(0, 2, ROWS)}), tmp_path / "rows.parquet"
    )
    words = [
        sys.executable,
        "-c",
        MEASURE,
        str(tmp_path),
        json.dumps([f"c{at}" for at in range(4)]),
    ]
    said = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    assert said["shape"] == [ROWS, 24]
    assert said["kib"] < 512 * 1024
