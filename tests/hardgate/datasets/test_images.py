"""The manifest that the suite sees of images."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from hardgate.datasets import images

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 3, 4, 6), dtype=np.uint8)
LABELS = np.array([0, 1, 0, 1, 0])


def test_the_manifest_describes_every_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "BATCH", 2)
    frame = images.raw(PIXELS, LABELS, files=(), given_split=np.array(["train"] * 5)).frame
    assert list(frame) == [
        "sha256",
        "label",
        "split",
        "channels",
        "height",
        "width",
        "pixel_min",
        "pixel_max",
        "pixel_mean",
        "pixel_std",
    ]
    assert frame["sha256"][3] == hashlib.sha256(PIXELS[3].tobytes()).hexdigest()
    assert frame[["channels", "height", "width"]].to_numpy().tolist() == [[3, 4, 6]] * 5
    scaled = PIXELS.reshape(5, -1) / 255
    assert frame["pixel_min"].tolist() == pytest.approx(scaled.min(axis=1))
    assert frame["pixel_max"].tolist() == pytest.approx(scaled.max(axis=1))
    assert frame["pixel_mean"].tolist() == pytest.approx(scaled.mean(axis=1))
    assert frame["pixel_std"].tolist() == pytest.approx(scaled.std(axis=1))
