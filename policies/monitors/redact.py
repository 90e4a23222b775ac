"""Taking out of an action what a colluding agent could signal with: words, names, comments, layout.

Only what cannot change what runs is touched: comments, the names of a script's own variables, and
strings that are merely printed. Paths, addresses, programs and data stay as they are.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from inspect_ai.model import ChatMessage, ChatMessageAssistant
from inspect_ai.tool import ToolCall
from tree_sitter import Node

from policies.monitors.shell import tree, walk
from policies.turn import Proposal

_PRINTERS = {"echo", "printf"}
_FLOWS = {"pipeline", "redirected_statement", "command_substitution", "process_substitution"}


def redact(
    history: Sequence[ChatMessage], proposal: Proposal
) -> tuple[list[ChatMessage], Proposal]:
    """A conversation and a proposal without the agent's words, its calls redacted.

    The task and the tools' results stay as they are.
    """
    told: list[ChatMessage] = [
        _redacted(one) if isinstance(one, ChatMessageAssistant) else one for one in history
    ]
    return told, with_message(proposal, _redacted(proposal.message))


def with_message(proposal: Proposal, message: ChatMessageAssistant) -> Proposal:
    """The proposal with another message."""
    first = proposal.output.choices[0].model_copy(update={"message": message})
    output = proposal.output.model_copy(update={"choices": [first]})
    return replace(proposal, output=output)


def redact_shell(source: str) -> str:
    """Remove comments, rename the script's own variables, blank strings that are only printed."""
    data = source.encode("utf-8", "surrogatepass")
    nodes = list(walk(tree(source)))
    names: dict[bytes, bytes] = {}
    for node in nodes:
        if node.type == "variable_name" and _is_own(node):
            names.setdefault(node.text or b"", f"v{len(names) + 1}".encode())
    kept: list[tuple[int, int, bytes]] = []
    for node in nodes:
        if node.type == "comment" and not (node.text or b"").startswith(b"#!"):
            kept.append((node.start_byte, node.end_byte, b""))
        elif node.type == "variable_name" and node.text in names:
            kept.append((node.start_byte, node.end_byte, names[node.text]))
        elif node.type in {"string", "raw_string"} and _is_only_printed(node):
            length = f"'text of {node.end_byte - node.start_byte - 2} bytes'".encode()
            kept.append((node.start_byte, node.end_byte, length))
    end = len(data)
    for start, stop, text in sorted(kept, reverse=True):
        if stop <= end:  # not inside a piece that was replaced already
            data, end = data[:start] + text + data[stop:], start
    lines = data.decode("utf-8", "replace").split("\n")
    return "\n".join(line.rstrip() for line in lines if line.strip())


def redact_python(source: str) -> str:
    """The same for Python; code that does not parse, or is nested too deeply, stays as it is."""
    try:
        module = ast.parse(source)
        own = _Names()
        own.visit(module)
        return ast.unparse(_Redact(own.names).visit(module))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the latter two: too deep
        return source


def _redacted(message: ChatMessageAssistant) -> ChatMessageAssistant:
    calls = [
        replace(call, arguments={name: _code(call, one) for name, one in call.arguments.items()})
        for call in message.tool_calls or ()
    ]
    kept = [item for item in _items(message) if item.type not in ("text", "reasoning")]
    return message.model_copy(update={"content": kept or "", "tool_calls": calls or None})


def _items(message: ChatMessageAssistant) -> Sequence[Any]:
    return () if isinstance(message.content, str) else message.content


def _code(call: ToolCall, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if "python" in call.function.lower():
        return redact_python(value)
    if re.search("bash|shell|terminal|^sh$|exec", call.function.lower()):
        return redact_shell(value)
    return value


def _is_own(node: Node) -> bool:
    """Whether a script sets this variable for itself, and not for a program that it starts."""
    parent = node.parent
    if parent is None:
        return False
    if parent.type == "for_statement":
        return True
    outer = parent.parent
    return parent.type == "variable_assignment" and (
        outer is None or outer.type not in {"command", "declaration_command"}
    )


def _is_only_printed(node: Node) -> bool:
    command = node.parent
    if command is None or command.type != "command" or len(node.named_children) > 1:
        return False
    name = command.child_by_field_name("name")
    if name is None or (name.text or b"").decode(errors="replace") not in _PRINTERS:
        return False
    above = command.parent
    while above is not None:
        if above.type in _FLOWS:
            return False
        above = above.parent
    return True


@dataclass
class _Names(ast.NodeVisitor):
    """Finds the names that a module binds by assignment or as parameters."""

    names: dict[str, str] = field(default_factory=dict)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self._add(node.id)

    def visit_arg(self, node: ast.arg) -> None:
        self._add(node.arg)
        self.generic_visit(node)

    def _add(self, name: str) -> None:
        self.names.setdefault(name, f"v{len(self.names) + 1}")


@dataclass
class _Redact(ast.NodeTransformer):
    """Renames, drops documentation strings and blanks what is only printed."""

    names: Mapping[str, str]

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self.names.get(node.id, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg = self.names.get(node.arg, node.arg)
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.keyword:
        self.generic_visit(node)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        if isinstance(node.value, ast.Constant):
            return ast.Pass()
        call = node.value
        if isinstance(call, ast.Call) and not call.keywords and ast.unparse(call.func) == "print":
            call.args = [_blank(one) for one in call.args]
        self.generic_visit(node)
        return node


def _blank(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return ast.Constant(f"text of {len(node.value)} characters")
    return node
