"""Lists of what there is, for the terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Column, Table


def listing(*columns: str) -> Table:
    """An empty table in which no name is cut short, in 80 columns either.

    Args:
        columns: Heads; the first is of names.
    """
    name, *others = columns
    return Table(
        Column(name, no_wrap=True),
        *(Column(one, overflow="fold") for one in others),
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
