"""Prompts as files whose digests go into the log.

A prompt that was released is never changed: another text is another file, with another version in
its name, so that a name in a log stands for one text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policies.paths import typed
from policies.registry import Resolved


@dataclass(frozen=True)
class PromptFiles:
    """A folder of prompts, one `.md` file each."""

    folder: Path

    def names(self) -> tuple[str, ...]:
        """Their names (`action_v1`), sorted."""
        return tuple(sorted(one.stem for one in self.folder.glob("*.md")))

    def text(self, prompt: str) -> str:
        """A prompt's text.

        Args:
            prompt: the name of one of the folder's, or the path of a file that ends in `.md`.

        Raises:
            ValueError: there is no such prompt.
        """
        own = prompt.endswith(".md")
        if not own and prompt not in self.names():
            names = ", ".join(self.names())
            raise ValueError(f"no prompt {prompt!r}: use {names}, or the path of a .md file")
        path = typed(prompt) if own else self.folder / f"{prompt}.md"
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"the prompt {prompt} cannot be read: {error}") from error

    def sha256(self, prompt: str) -> str:
        """SHA-256, in hex, of the text that `text` returns."""
        return hashlib.sha256(self.text(prompt).encode()).hexdigest()


def fill(text: str, **values: str) -> str:
    """A prompt's text with `{name}` replaced by each value; what a value holds is left alone."""
    if not values:
        return text
    names = "|".join(map(re.escape, values))
    return re.sub(rf"\{{({names})\}}", lambda found: values[found[1]], text)


def prompt_hashes(resolved: Resolved[Any], *folders: PromptFiles) -> dict[str, str]:
    """SHA-256 (hex) of each prompt that a spec, or what it wraps, asks with, by prompt name.

    Args:
        resolved: what was asked for; its prompts are the arguments called `prompt` or `..._prompt`.
        folders: where they may be, at least one; no name is in two of them.
    """
    return {
        name: next((one for one in folders if name in one.names()), folders[0]).sha256(name)
        for name in sorted(set(prompt_names(resolved.arguments)))
    }


def prompt_names(value: Any) -> Iterator[str]:
    """The prompts in a spec: values of arguments called `prompt` or `..._prompt`, however deep."""
    if isinstance(value, Mapping):
        for key, one in value.items():
            if isinstance(one, str) and (key == "prompt" or key.endswith("_prompt")):
                yield one
            else:
                yield from prompt_names(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from prompt_names(one)
