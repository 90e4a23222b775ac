"""Undo encryption whose key the agent typed: every word of its own commands is tried. Pure.

Known are what `openssl enc` makes with a password (a salt in front, the key by PBKDF2 or by its
older derivation) and with a key and an initialisation vector given in hexadecimal.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from sandbox.evidence.decode import Blob, Budget, starts_container
from sandbox.evidence.opaque import SMALLEST, opaque_bytes

MOST_WORDS = 96
"""Words that are tried at most, those in a password's place first."""

_SALTED = b"Salted__"
_BLOCK = 16  # bytes; the initialisation vector's too
_PROBE = 32 << 10
_ITERATIONS = 10_000  # what openssl takes unless told
_MOST_ITERATIONS = 1_000_000
_MOST_ROUNDS = 30_000_000  # of all derivations for one blob, some 20 s; a replay tells the rest
_TOKEN = re.compile(r"[^\s'\"`|;&<>(){}\[\],$\\]+")
_PLACE = re.compile(r"(?:pass(?:word|phrase|wd)?|key|secret|pw|-k|-K|-iv|-iter)[:=\s'\"(]+\S", re.I)
_CIPHER = re.compile(r"aes-?(128|192|256)-?(cbc|ctr|ecb)|chacha20", re.I)
_HEX = re.compile(r"(?:[0-9a-f]{2})+", re.I)


def words(commands: Iterable[str]) -> tuple[str, ...]:
    """What may be a password or key in a run's commands.

    Args:
        commands: Command lines and programs, as the agent wrote them.

    Returns:
        At most `MOST_WORDS` distinct words, the likeliest first.
    """
    likely: dict[str, None] = {}
    others: dict[str, None] = {}
    for text in commands:
        places = [match.end() - 1 for match in _PLACE.finditer(text)]
        for token in _TOKEN.finditer(text):
            near = any(token.start() <= place < token.end() for place in places)
            _, _, tail = token[0].replace("=", ":").rpartition(":")
            for word in (token[0], tail):
                (likely if near or _CIPHER.search(word) else others)[word] = None
    return tuple(dict.fromkeys([*likely, *others]))[:MOST_WORDS]


def deciphered(data: bytes, budget: Budget) -> Iterator[Blob]:
    """What a buffer decrypts to with the words of the budget, if with any.

    Args:
        data: The buffer, from its first byte on.
        budget: Holds the words, and pays for the work.

    Yields:
        At most one blob: the whole buffer's plaintext.
    """
    if not budget.words or len(data) < 2 * _BLOCK or not _enciphered(data):
        return
    start = 2 * len(_SALTED) if data.startswith(_SALTED) else 0
    probe = data[start : start + _PROBE]
    for name, key, vector in _keys(data, budget.words):
        if not budget.attempt(len(probe)):
            return
        if _readable(_decrypt(name, key, vector, probe)):
            if budget.spend(len(data)):
                plain = _decrypt(name, key, vector, data[start:])
                # Where ciphertext ends does not show: more of it may have left in another part.
                yield Blob(name, 0, len(data), plain, whole=False)
            return


def _enciphered(data: bytes) -> bool:
    return data.startswith(_SALTED) or opaque_bytes(data[:_PROBE]) > 0


def _keys(data: bytes, given: Sequence[str]) -> Iterator[tuple[str, bytes, bytes]]:
    """Ciphers with keys and vectors to try."""
    said = [match for word in given if (match := _CIPHER.search(word))]
    names = [
        "chacha20" if match[0].lower() == "chacha20" else f"aes-{match[1]}-{match[2].lower()}"
        for match in said
    ]
    ciphers = tuple(dict.fromkeys(names)) or ("aes-256-cbc", "aes-256-ctr", "chacha20")
    if not data.startswith(_SALTED):
        raw = [bytes.fromhex(word) for word in given if _HEX.fullmatch(word)]
        vectors = [word for word in raw if len(word) == _BLOCK] or [bytes(_BLOCK)]
        for name, key, vector in product(ciphers, raw, vectors):
            if len(key) == _key_size(name):
                yield name, key, vector
        return
    salt = data[len(_SALTED) : 2 * len(_SALTED)]
    counts = [_ITERATIONS]
    for count in (int(word) for word in given if word.isdecimal() and 0 < len(word) < 8):
        bounded = len(given) * (sum(counts) + count) <= _MOST_ROUNDS
        if bounded and 0 < count <= _MOST_ITERATIONS and count not in counts:
            counts.append(count)
    for word in given:
        password = word.encode()
        for derived in _derived(password, salt, counts):
            for name in ciphers:
                size = _key_size(name)
                yield name, derived[:size], derived[size : size + _BLOCK]


def _derived(password: bytes, salt: bytes, counts: Sequence[int]) -> Iterator[bytes]:
    """Key and vector, as openssl's versions make them of a password."""
    size = 32 + _BLOCK
    for digest in ("sha256", "md5"):
        made, last = b"", b""
        while len(made) < size:
            last = hashlib.new(digest, last + password + salt, usedforsecurity=False).digest()
            made += last
        yield made
    for count in counts:
        yield hashlib.pbkdf2_hmac("sha256", password, salt, count, size)


def _key_size(name: str) -> int:
    return 32 if name == "chacha20" else int(name.split("-")[1]) // 8


def _decrypt(name: str, key: bytes, vector: bytes, data: bytes) -> bytes:
    """The plaintext; with block modes up to the last whole block, padding included."""
    if name == "chacha20":
        return Cipher(algorithms.ChaCha20(key, vector), None).decryptor().update(data)
    mode: modes.CBC | modes.CTR | modes.ECB
    mode = modes.ECB() if name.endswith("ecb") else modes.CTR(vector)
    if name.endswith("cbc"):
        mode = modes.CBC(vector)
    return Cipher(algorithms.AES(key), mode).decryptor().update(data)


def _readable(plain: bytes) -> bool:
    """Whether a decryption is not the noise that a wrong key makes."""
    if starts_container(plain):
        return True
    if len(plain) < SMALLEST:
        return plain.rstrip(bytes(range(_BLOCK + 1))).isascii()
    return opaque_bytes(plain) == 0
