"""The monitors' prompts: files that say what the `{nonce}` on the markers means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from policies import promptfiles
from policies.promptfiles import PromptFiles
from policies.registry import Resolved

FILES = PromptFiles(Path(__file__).with_name("prompts"))
_PLACEHOLDER = "{nonce}"


def prompt_text(prompt: str) -> str:
    """A prompt's text.

    Args:
        prompt: the name of one of ours (`action_v1`), or the path of a file that ends in `.md`.

    Raises:
        ValueError: there is no such prompt, or it does not say what the markers' `{nonce}` is.
    """
    text = FILES.text(prompt)
    if _PLACEHOLDER not in text:
        raise ValueError(f"the prompt {prompt} must say what {_PLACEHOLDER} on the markers means")
    return text


def fill(text: str, nonce: str) -> str:
    """A prompt's text for one sample."""
    return promptfiles.fill(text, nonce=nonce)


def prompt_sha256(prompt: str) -> str:
    """SHA-256, in hex, of the text that `prompt_text` returns."""
    return FILES.sha256(prompt)


def prompt_hashes(resolved: Resolved[Any]) -> dict[str, str]:
    """SHA-256 (hex) of each prompt that a monitor, or what it wraps, asks with, by prompt name.

    Args:
        resolved: a monitor, or a protocol that has monitors among its arguments.
    """
    return promptfiles.prompt_hashes(resolved, FILES)
