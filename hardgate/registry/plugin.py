"""What MLflow finds by its entry points; every process that imports MLflow loads this."""

from __future__ import annotations

from typing import Any


def store(store_uri: str, tracking_uri: str | None = None) -> Any:
    """Build the registry store for a URI; MLflow calls it in servers and in clients."""
    from hardgate.registry.store import build

    return build(store_uri, tracking_uri)


def runs(store_uri: str, artifact_uri: str | None = None) -> Any:
    """Build the tracking store for a URI; MLflow calls it in servers and in clients."""
    from hardgate.registry.tracking import build

    return build(store_uri, artifact_uri)


def files(artifact_uri: str, *more: Any, **options: Any) -> Any:
    """Open a write-once repository on this machine's disk."""
    from hardgate.registry.artifacts import WriteOnceLocal

    return WriteOnceLocal(artifact_uri, *more, **options)


def objects(artifact_uri: str, *more: Any, **options: Any) -> Any:
    """Open a write-once repository in S3."""
    from hardgate.registry.artifacts import WriteOnceS3

    return WriteOnceS3(artifact_uri, *more, **options)
