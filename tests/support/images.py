"""Small real images, each different from the others."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def jpeg(number: int, *, size: int = 64) -> bytes:
    """Give a JPEG whose content depends on ``number`` alone."""
    pixels = np.random.default_rng(number).integers(0, 255, (size, size, 3), dtype=np.uint8)
    body = io.BytesIO()
    Image.fromarray(pixels).save(body, "JPEG")
    return body.getvalue()
