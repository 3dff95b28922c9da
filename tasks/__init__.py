"""With what effects: one file per stage, each a thin task around one call into the library.

A stage's file is also its second door: ``python -m tasks.<stage> MODEL`` calls the same function
without Prefect, which is what ``dvc.yaml`` does. ``_store`` holds the files, ``_history`` asks
DVC, ``_registry`` asks MLflow, ``_expectations`` asks Great Expectations.
"""
