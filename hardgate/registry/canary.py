"""A canary: ``python -m hardgate.registry.canary FOLDER`` loads a model as a serving host would.

It runs in a process of its own, without the credentials of the one that asks, predicts the model's
own input example, and prints the answers as JSON.
"""

from __future__ import annotations

import json
import sys

import numpy as np


def main() -> None:
    """Load, predict, print."""
    import mlflow.pyfunc

    (folder,) = sys.argv[1:]
    model = mlflow.pyfunc.load_model(folder)
    answers = np.asarray(model.predict(model.input_example), dtype=np.float64)
    json.dump(answers.tolist(), sys.stdout)


if __name__ == "__main__":
    main()
