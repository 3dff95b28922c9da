"""Images are not a table: what the suite sees of them is a manifest, one row per image."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hardgate import progress
from hardgate.datasets import encoding
from hardgate.datasets.raw import Encoded, Raw, Rows
from hardgate.errors import DataError, ParamsError
from hardgate.records import FileRecord, ImageInput

Pixels = NDArray[np.uint8]
BATCH = 4096  # images whose statistics are taken at a time, as float64


def raw(
    pixels: Pixels,
    labels: NDArray[Any],
    *,
    files: tuple[FileRecord, ...],
    given_split: NDArray[np.str_] | None = None,
    names: Sequence[str] | None = None,
) -> Raw:
    """Describe images of shape ``(n, c, h, w)`` by a manifest; ``names`` are their files."""
    frame = manifest(pixels, labels)
    if given_split is not None:
        frame.insert(2, "split", given_split)
    if names is not None:
        frame.insert(0, "file", list(names))
    return Raw(
        frame=frame,
        files=files,
        inputs=("sha256",),
        target="label",
        given_split=given_split,
        images=pixels,
    )


def manifest(pixels: Pixels, labels: NDArray[Any]) -> pd.DataFrame:
    """Describe each image: digest, label, shape, and its pixels' statistics in [0, 1]."""
    digests = [
        hashlib.sha256(image.tobytes()).hexdigest()
        for image in progress.track(pixels, "digesting images", total=len(pixels))
    ]
    flat = pixels.reshape(len(pixels), -1)
    means, deviations = np.empty(len(flat)), np.empty(len(flat))
    for start in range(0, len(flat), BATCH):
        batch = flat[start : start + BATCH].astype(np.float64) / 255
        means[start : start + BATCH] = batch.mean(axis=1)
        deviations[start : start + BATCH] = batch.std(axis=1)
    channels, height, width = pixels.shape[1:]
    return pd.DataFrame(
        {
            "sha256": digests,
            "label": labels,
            "channels": channels,
            "height": height,
            "width": width,
            "pixel_min": flat.min(axis=1) / 255,
            "pixel_max": flat.max(axis=1) / 255,
            "pixel_mean": means,
            "pixel_std": deviations,
        }
    )


def encode(raw: Raw, train_rows: Rows, names: Sequence[str] | None) -> Encoded:
    """Hand over pixels and labels; ``names`` are the classes' names by label number, if any."""
    if raw.images is None:
        raise DataError(f"{raw.files[0].path} holds no images")
    found = encoding.classes_of(raw.frame[raw.target])
    labels = encoding.encode_labels(raw.frame[raw.target], found, source=str(raw.files[0].path))
    if names is not None:
        beyond = [label for label in found if not label.isdigit() or int(label) >= len(names)]
        if beyond:
            raise ParamsError(f"classes has {len(names)} names; none is for label {beyond[0]}")
        found = tuple(names[int(label)] for label in found)
    mean, scale = _channel_statistics(raw.images, train_rows)
    channels, height, width = raw.images.shape[1:]
    spec = ImageInput(
        kind="images", shape=(channels, height, width), classes=found, mean=mean, scale=scale
    )
    return Encoded(raw.images, labels, spec)


def _channel_statistics(pixels: Pixels, rows: Rows) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel, in [0, 1], exact from counts of the 256 levels."""
    levels = np.arange(256) / 255
    means, scales = [], []
    for channel in range(pixels.shape[1]):
        counts = np.zeros(256)
        for start in range(0, len(rows), BATCH):
            batch = pixels[rows[start : start + BATCH], channel]
            counts += np.bincount(batch.ravel(), minlength=256)
        shares = counts / counts.sum()
        mean = float(shares @ levels)
        means.append(mean)
        scales.append(float(np.sqrt(shares @ (levels - mean) ** 2)) or 1.0)
    return tuple(means), tuple(scales)
