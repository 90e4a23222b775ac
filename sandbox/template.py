"""Templates with `${name}` placeholders: filled in for a world, and read back from a text."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sandbox.settingspec import SettingError

# Lower case only, so that a shell script's own ${VARIABLES} and ${1:-x} stay as they are.
_PLACEHOLDER = re.compile(r"\$\{([a-z][a-z0-9_]*(?:\.[a-z]+)?)\}")


class TemplateError(SettingError):
    """A template names what there is not.

    Attributes:
        where: keys of `setting.yaml` that lead to it; empty for a file under `files/`.
    """

    def __init__(self, message: str, where: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.where = where


def render(template: str, names: Mapping[str, str], *where: str | int) -> str:
    """Fill in a template.

    Args:
        template: the text.
        names: the values.
        where: keys of `setting.yaml` that lead to it, or a file's name alone.

    Raises:
        TemplateError: it uses a name that there is not.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in names:
            known = ", ".join(sorted(names))
            raise TemplateError(f"no name {match[1]}; there are {known}", where)
        return names[match[1]]

    return _PLACEHOLDER.sub(value, template)


def placeholders(template: str) -> frozenset[str]:
    """The names that a template uses."""
    return frozenset(_PLACEHOLDER.findall(template))


def read_back(template: str, text: str) -> dict[str, str] | None:
    """Find a filled-in template in a text.

    Args:
        template: the template; what surrounds its placeholders tells where a value ends.
        text: any text; white space may differ.

    Returns:
        The names with their values, or None where the text does not hold it.
    """
    seen: dict[str, str] = {}
    pattern = ""
    for number, part in enumerate(_PLACEHOLDER.split(template.strip())):
        if number % 2 == 0:
            pattern += r"\s+".join(map(re.escape, re.split(r"\s+", part)))
        elif part in seen:
            pattern += f"(?P={seen[part]})"
        else:
            seen[part] = f"n{number}"
            pattern += rf"(?P<n{number}>\S(?:[^\n]*?\S)?)"
    found = re.search(pattern + r"(?=\s|\Z)", text)
    return None if found is None else {name: found[group] for name, group in seen.items()}
