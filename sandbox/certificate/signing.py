"""The run's key: made once per harness process, never written anywhere.

A certificate is signed with Ed25519 so that whoever reads the log can check it: the public key is
in the certificate, and the harness says at the start of a run which one is its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_SEAL = ("digest", "signature")


@cache
def _private_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def run_key() -> str:
    """The public half of this process's key, in hexadecimal."""
    return _private_key().public_key().public_bytes_raw().hex()


def seal(body: Mapping[str, Any]) -> tuple[str, str]:
    """The digest (SHA-256, hexadecimal) of a JSON object and this process's signature of it."""
    digest = _digest(body)
    return digest, _private_key().sign(bytes.fromhex(digest)).hex()


def holds(document: Mapping[str, Any], key: str) -> bool:
    """Whether a sealed object is unchanged and was signed with `key` (public, hexadecimal).

    Anything that is no sealed object does not hold.
    """
    body = {name: value for name, value in document.items() if name not in _SEAL}
    try:
        if document["digest"] != _digest(body) or document["key"] != key:
            return False
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        public.verify(bytes.fromhex(document["signature"]), bytes.fromhex(document["digest"]))
    except (InvalidSignature, KeyError, TypeError, ValueError):
        return False
    return True


def _digest(body: Mapping[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
