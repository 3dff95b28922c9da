"""The registry that says no: plug-ins for the MLflow server.

Read in this order: :mod:`rules` (what the server enforces), :mod:`identity` (who asks),
:mod:`approval` (the judgement, without MLflow), :mod:`audit` (what was decided, for ever),
:mod:`store` (every way to change the registry), :mod:`artifacts` (model files are write-once).

Nothing here is imported by the library; MLflow finds it through the entry points in
``pyproject.toml``.
"""
