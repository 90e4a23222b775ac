"""The base85 family: five characters for four bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS = b"0123456789"
ALPHABETS: dict[str, bytes] = {
    "base85": _DIGITS + _LETTERS + b"!#$%&()*+-;<=>?@^_`{|}~",
    "ascii85": bytes(range(33, 118)),
    "z85": _DIGITS + _LETTERS[26:] + _LETTERS[:26] + b".-:+=^!/*?&<>()[]{}@%$#",
}
"""The digits of each variant, in order of value."""
ZEROS = b"z"
"""What stands for four zero bytes in ascii85."""

_VALUES: dict[str, NDArray[np.uint64]] = {}
for _name, _alphabet in ALPHABETS.items():
    _VALUES[_name] = np.zeros(256, np.uint64)
    _VALUES[_name][np.frombuffer(_alphabet, np.uint8)] = np.arange(85)
_SCALES = np.array([85**n for n in (4, 3, 2, 1, 0)], np.uint64)
_LIMIT = np.uint64(1 << 32)


def decode85(text: bytes, name: str) -> bytes:
    """Decode a run of base85.

    Args:
        text: Digits of the alphabet only (and "z" in ascii85); the last group may be short.
        name: Which of `ALPHABETS`.

    Returns:
        The bytes; groups that stand for no bytes give wrong ones.
    """
    groups, short = _groups(text, name)
    size = len(groups) * 4 - short
    return groups.astype(">u4").tobytes()[:size]


def is_base85(text: bytes, name: str) -> bool:
    """Whether every group of a run stands for bytes: about 1 in 30 groups of noise does not.

    Args:
        text: Like that of `decode85`; a few foreign characters may stand before the first group.
        name: Which of `ALPHABETS`.
    """
    for skip in range(5):
        groups, short = _groups(text[skip:], name)
        if bool((groups[: len(groups) - bool(short)] < _LIMIT).all()):
            return True
    return False


def _groups(text: bytes, name: str) -> tuple[NDArray[np.uint64], int]:
    if name == "ascii85":
        text = text.replace(ZEROS, b"!!!!!")
    short = -len(text) % 5
    last = ALPHABETS[name][-1:]
    values = _VALUES[name][np.frombuffer(text + last * short, np.uint8)].reshape(-1, 5)
    groups: NDArray[np.uint64] = (values * _SCALES).sum(axis=1, dtype=np.uint64)
    return groups, short
