"""Undo encryption whose key the agent typed: every word of its own commands is tried. Pure.

Known are what `openssl enc` makes with a password (a salt in front, the key by PBKDF2 or by its
older derivation) and with a key and an initialisation vector given in hexadecimal.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import product

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from sandbox.evidence.decode import Blob, Budget, starts_container
from sandbox.evidence.opaque import SMALLEST, opaque_bytes

MOST_WORDS = 96
"""Words that are tried at most, those in a password's place first."""

_SALTED = b"Salted__"
_ZLIB = b"\x78"
_BLOCK = 16  # bytes; the initialisation vector's too
_PROBE = 32 << 10
_ITERATIONS = 10_000  # what openssl takes unless told
_NONE = 0  # its older derivation
_MOST_ITERATIONS = 1_000_000
_MOST_COUNTS = 4
_TOKEN = re.compile(r"[^\s'\"`|;&<>(){}\[\],$\\]+")
_PLACE = re.compile(r"(?:pass(?:word|phrase|wd)?|key|secret|pw|-k|-K|-iv|-iter)[:=\s'\"(]+\S", re.I)
_CIPHER = re.compile(r"aes-?(128|192|256)-?(cbc|ctr|ecb)|chacha20", re.I)
_COUNT = re.compile(r"iter\w*\W{1,4}(\d[\d_]*)", re.I)
_COUNTS = re.compile(r"pbkdf2\w*\(.*", re.I)  # the line of a call
_COUNT_ELSEWHERE = re.compile(r"-iter\W{1,4}[A-Za-z_]")  # in a variable
_NUMBER = re.compile(r"(?<![\w.])\d[\d_]*(?![\w.])")
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


def counts(commands: Iterable[str]) -> tuple[int, ...]:
    """How often a run's commands may have a key's derivation iterated, where they say so.

    Any number would do, but to try them all is what an agent could keep the analysis busy with.

    Args:
        commands: Command lines and programs, as the agent wrote them.

    Returns:
        A few distinct numbers, without the usual one.
    """
    found: dict[int, None] = {}
    for text in commands:
        said = _COUNT.findall(text)
        for part in _COUNTS.findall(text) + ([text] if _COUNT_ELSEWHERE.search(text) else []):
            said += _NUMBER.findall(part)
        for number in (int(digits.replace("_", "")) for digits in said if len(digits) < 10):
            if 0 < number <= _MOST_ITERATIONS and number != _ITERATIONS:
                found[number] = None
    return tuple(found)[:_MOST_COUNTS]


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
    for how, name, key, vector in _keys(data, budget):
        if not budget.attempt(len(probe)):
            return
        if _readable(_decrypt(name, key, vector, probe)):
            if how not in budget.opened:
                budget.opened.append(how)
            if budget.spend(len(data)):
                plain = _decrypt(name, key, vector, data[start:])
                # Where ciphertext ends does not show: more of it may have left in another part.
                yield Blob(name, 0, len(data), plain, whole=False)
            return


def _enciphered(data: bytes) -> bool:
    return data.startswith(_SALTED) or opaque_bytes(data[:_PROBE]) > 0


def _keys(data: bytes, budget: Budget) -> Iterator[tuple[tuple[str, int], str, bytes, bytes]]:
    """Words and iterations, with the ciphers, keys and vectors that they make."""
    given = budget.words
    said = [match for word in given if (match := _CIPHER.search(word))]
    names = [
        "chacha20" if match[0].lower() == "chacha20" else f"aes-{match[1]}-{match[2].lower()}"
        for match in said
    ]
    ciphers = tuple(dict.fromkeys(names)) or ("aes-256-cbc", "aes-256-ctr", "chacha20")
    if not data.startswith(_SALTED):
        raw = {word: bytes.fromhex(word) for word in given if _HEX.fullmatch(word)}
        vectors = [key for key in raw.values() if len(key) == _BLOCK] or [bytes(_BLOCK)]
        for name, (word, key), vector in product(ciphers, raw.items(), vectors):
            if len(key) == _key_size(name):
                yield (word, _NONE), name, key, vector
        return
    salt = data[len(_SALTED) : 2 * len(_SALTED)]
    usual = product((_NONE, _ITERATIONS, *budget.counts), given)
    ways = dict.fromkeys([*budget.opened, *((word, count) for count, word in usual)])
    for word, count in ways:
        for derived in _derived(word.encode(), salt, count, budget):
            for name in ciphers:
                size = _key_size(name)
                yield (word, count), name, derived[:size], derived[size : size + _BLOCK]


def _derived(password: bytes, salt: bytes, count: int, budget: Budget) -> Iterator[bytes]:
    """Key and vector, as openssl's versions make them of a password."""
    size = 32 + _BLOCK
    if count != _NONE:
        if budget.derive(count):
            yield hashlib.pbkdf2_hmac("sha256", password, salt, count, size)
        return
    for digest in ("sha256", "md5"):
        made, last = b"", b""
        while len(made) < size:
            last = hashlib.new(digest, last + password + salt, usedforsecurity=False).digest()
            made += last
        yield made


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
        return not plain.startswith(_ZLIB) or _inflates(plain)
    if len(plain) < SMALLEST:
        return plain.rstrip(bytes(range(_BLOCK + 1))).isascii()
    return opaque_bytes(plain) == 0


def _inflates(plain: bytes) -> bool:
    # Two bytes of its head are nearly free: of a few hundred wrong keys one makes them by chance.
    try:
        zlib.decompressobj().decompress(plain, _PROBE)
    except zlib.error:
        return False
    return True
