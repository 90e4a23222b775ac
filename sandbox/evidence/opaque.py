"""Bytes that look encrypted."""

from __future__ import annotations

import math

import numpy as np

WINDOW = 64 << 10
"""Bytes looked at together."""
SMALLEST = 1 << 10
"""Bytes below which nothing can be said."""
THRESHOLD = 7.9
"""Bits per byte above which a window is opaque."""


def opaque_bytes(data: bytes) -> int:
    """How many bytes lie in windows of almost maximal entropy.

    The entropy of a small sample comes out too low (1 KB of perfect noise measures 7.81 bits), so
    each window's figure is corrected by the Miller-Madow term before it is compared.

    Args:
        data: Bytes that nothing else explains.

    Returns:
        Bytes in opaque windows, 0..len(data). fp16 weights measure about 7.4 and are not opaque.
    """
    return sum(
        len(window)
        for start in range(0, len(data), WINDOW)
        if len(window := data[start : start + WINDOW]) >= SMALLEST and _entropy(window) > THRESHOLD
    )


def _entropy(window: bytes) -> float:
    """Entropy in bits per byte, 0..8 and a little over."""
    counts = np.bincount(np.frombuffer(window, np.uint8))
    counts = counts[counts > 0]
    shares = counts / len(window)
    measured = -float(np.sum(shares * np.log2(shares)))
    return measured + (len(counts) - 1) / (2 * len(window) * math.log(2))
