"""What a registered protocol, monitor or attack takes, in words: types, ranges, defaults."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from docstring_parser import DocstringStyle, parse
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from policies.registry import Entry


@dataclass(frozen=True)
class Parameter:
    """One argument.

    Attributes:
        name: its name.
        type: what it may be, such as `number` or `min, mean, max or number`.
        range: of its numbers, such as `0..1`; empty when there is none.
        required: whether it must be given.
        default: a JSON value; None when it is required.
        meaning: from the documentation of the factory, one line.
    """

    name: str
    type: str
    range: str
    required: bool
    default: Any
    meaning: str


@dataclass(frozen=True)
class Description:
    """A protocol, monitor or attack in words.

    Attributes:
        name: the registered name.
        summary: what it does, in one line.
        paper: where it is from, in one line.
        roles: the model roles that it asks, beside the untrusted model, sorted.
        parameters: in the order of its signature.
        objects: the fields of mappings that parameters may be, by the name in `Parameter.type`.
        declared: see `Entry`.
    """

    name: str
    summary: str
    paper: str
    roles: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    objects: Mapping[str, tuple[Parameter, ...]]
    declared: Mapping[str, str]


class _Schema(GenerateJsonSchema):
    """Arguments that are specs have no schema of their own."""

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        return {"type": "name or mapping"}


def describe(entry: Entry[Any]) -> Description:
    """Describe what is registered."""
    schema = entry.arguments.model_json_schema(schema_generator=_Schema)
    objects = schema.get("$defs", {}).items()
    return Description(
        name=entry.name,
        summary=entry.summary,
        paper=entry.source,
        roles=tuple(sorted(entry.roles)),
        parameters=_parameters(schema, inspect.getdoc(entry.factory) or ""),
        objects={name: _parameters(one, one.get("description", "")) for name, one in objects},
        declared=entry.declared,
    )


def _fields(text: str) -> dict[str, str]:
    """What a Google-style docstring says of each argument or attribute."""
    parsed = parse(text, DocstringStyle.GOOGLE)
    return {one.arg_name: " ".join((one.description or "").split()) for one in parsed.params}


def _parameters(schema: Mapping[str, Any], text: str) -> tuple[Parameter, ...]:
    told = _fields(text)
    return tuple(
        Parameter(
            name=name,
            type=_type(one),
            range=_range(one),
            required="default" not in one,
            default=one.get("default"),
            meaning=told.get(name, ""),
        )
        for name, one in schema.get("properties", {}).items()
    )


def _branches(schema: Mapping[str, Any]) -> list[Any]:
    return list(schema.get("anyOf") or schema.get("oneOf") or ())


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "enum" in schema:
        return ", ".join(str(one) for one in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if branches := _branches(schema):
        return " or ".join(_type(one) for one in branches)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def _range(schema: Mapping[str, Any]) -> str:
    if branches := _branches(schema):
        return ", ".join(filter(None, (_range(one) for one in branches)))
    if schema.get("type") == "array":
        return _range(schema.get("items", {}))
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    parts = []
    if low is not None and high is not None:
        parts.append(f"{_number(low)}..{_number(high)}")
    else:
        bounds = ((">=", low), (">", above), ("<=", high), ("<", below))
        parts += [f"{sign} {_number(bound)}" for sign, bound in bounds if bound is not None]
    return ", ".join(parts)


def _number(value: float) -> str:
    return f"{value:g}"
