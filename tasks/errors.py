"""Bad input as one line on the terminal, before any sample starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from policies.registry import SpecError
from sandbox.cell import CellError
from sandbox.setting import SettingError
from tasks.roles import RoleError


def usage_error(message: str) -> click.ClickException:
    """An error that `inspect` and `sallyport` print as `Error: message`."""
    return click.ClickException(message)


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn the errors of bad input into usage errors; everything else passes."""
    try:
        yield
    except (SpecError, SettingError, RoleError, CellError) as error:
        raise usage_error(str(error)) from error
