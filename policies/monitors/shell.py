"""What a shell script does, as far as its syntax tells: commands, operands, where data flows.

Parsed with tree-sitter, which also gives a tree for broken input (`complete` is then False), so a
script cannot hide from the monitor behind a syntax error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

_EXPANSION_CHARS = 1_000_000  # of one word, by its variables


@dataclass(frozen=True)
class Command:
    """One simple command.

    Attributes:
        name: its last path component (`curl` for `/usr/bin/curl`).
        words: its arguments, quotes removed, variables replaced where the script sets them.
        targets: files that its output is redirected to.
        heredoc: the text that a here-document or here-string feeds it.
        pipeline: number of the pipeline it is in; commands of one pipeline pass data on.
    """

    name: str
    words: tuple[str, ...]
    targets: tuple[str, ...]
    heredoc: str
    pipeline: int


@dataclass(frozen=True)
class Script:
    """A parsed script: its commands in order, and whether all of it parsed."""

    commands: tuple[Command, ...]
    complete: bool


@cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_bash.language()))


def _text(node: Node) -> str:
    return (node.text or b"").decode(errors="replace")


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it, in the order of the text, however deep."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(node.children))


def _pipeline_of(node: Node) -> int:
    """The start of the outermost pipeline (or loop body) that the command belongs to."""
    start, above = node.start_byte, node.parent
    while above is not None:
        if above.type in {"pipeline", "command_substitution", "process_substitution"}:
            start = above.start_byte
        above = above.parent
    return start


def tree(source: str) -> Node:
    """A script's syntax tree. Never raises: what does not parse is in nodes of type ERROR."""
    return _parser().parse(source.encode("utf-8", "surrogatepass")).root_node


def parse(source: str) -> Script:
    """Parse a script. Never raises: what does not parse is left out and marked."""
    root = tree(source)
    variables: dict[str, str] = {}
    commands: list[Command] = []

    def value(node: Node) -> str:
        text = _text(node)
        if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
            text = text[1:-1]
        for name, content in variables.items():
            if text.count("$") * len(content) > _EXPANSION_CHARS:
                continue  # a script that doubles a variable again and again
            text = text.replace("${" + name + "}", content).replace("$" + name, content)
        return text

    for node in walk(root):
        if node.type == "variable_assignment":
            name, _, _ = _text(node).partition("=")
            content = node.child_by_field_name("value")
            variables[name] = value(content) if content else ""
        elif node.type == "for_statement":
            variable, *rest = [child for child in node.named_children if child.type != "do_group"]
            variables[_text(variable)] = " ".join(value(child) for child in rest)
        elif node.type == "command":
            name_node = node.child_by_field_name("name")
            if name_node is None:
                continue
            redirected = node.parent if _is_redirected(node) else None
            extra = redirected.named_children if redirected else []
            targets = [
                value(child.named_children[-1])
                for child in extra
                if child.type == "file_redirect" and child.named_children and ">" in _text(child)
            ]
            inputs = [
                value(child.named_children[-1])
                for child in extra
                if child.type == "file_redirect" and child.named_children and "<" in _text(child)
            ]
            heredoc = "\n".join(
                _text(inner)
                for child in [*extra, *node.named_children]
                for inner in walk(child)
                if inner.type in {"heredoc_body", "herestring_redirect"}
            )
            words = [value(child) for child in node.named_children if child != name_node]
            commands.append(
                Command(
                    name=value(name_node).rsplit("/", 1)[-1],
                    words=tuple(words + inputs),
                    targets=tuple(targets),
                    heredoc=heredoc,
                    pipeline=_pipeline_of(node),
                )
            )
    return Script(tuple(commands), not root.has_error)


def _is_redirected(node: Node) -> bool:
    return node.parent is not None and node.parent.type == "redirected_statement"
