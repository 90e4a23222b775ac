"""The monitors' prompts: files whose digests go into the log.

A prompt that was released is never changed: another text is another file, with another version in
its name, so that a name in a log stands for one text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from policies.registry import Resolved

_FOLDER = Path(__file__).with_name("prompts")
_PLACEHOLDER = "{nonce}"


def prompt_text(prompt: str) -> str:
    """A prompt's text.

    Args:
        prompt: the name of one of ours (`action_v1`), or the path of a file that ends in `.md`.

    Raises:
        ValueError: there is no such prompt, or it does not say what the markers' `{nonce}` is.
    """
    own = prompt.endswith(".md")
    path = Path(prompt) if own else _FOLDER / f"{prompt}.md"
    names = sorted(one.stem for one in _FOLDER.glob("*.md"))
    if not own and prompt not in names:
        raise ValueError(f"no prompt {prompt!r}: use {', '.join(names)}, or the path of a .md file")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the prompt {prompt} cannot be read: {error}") from error
    if _PLACEHOLDER not in text:
        raise ValueError(f"the prompt {prompt} must say what {_PLACEHOLDER} on the markers means")
    return text


def fill(text: str, nonce: str) -> str:
    """A prompt's text for one sample."""
    return text.replace(_PLACEHOLDER, nonce)


def prompt_sha256(prompt: str) -> str:
    """SHA-256, in hex, of the text that `prompt_text` returns."""
    return hashlib.sha256(prompt_text(prompt).encode()).hexdigest()


def prompt_hashes(resolved: Resolved[Any]) -> dict[str, str]:
    """SHA-256 (hex) of each prompt that a monitor, or what it wraps, asks with, by prompt name.

    Args:
        resolved: a monitor, or a protocol that has monitors among its arguments.
    """
    return {name: prompt_sha256(name) for name in sorted(set(_prompts(resolved.arguments)))}


def _prompts(value: Any) -> Iterator[str]:
    """The values of all arguments called `prompt` or `..._prompt`, however deep."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            if isinstance(one, str) and (key == "prompt" or key.endswith("_prompt")):
                yield one
            else:
                yield from _prompts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _prompts(one)
