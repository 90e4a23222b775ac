"""What the commands that measure have in common: their logs, and how they end on bad input.

Exit status 1 and 2 of `sallyport gate` are answers, so no mistake in the input ends in them: it is
one line and exit status 3. A fault of the program is exit status 4, with its traceback.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from policies.measure.reader import Reading, Skipped, read

FAULT = 4
"""Exit status of an exception that nobody expected; its traceback is on stderr."""
_LISTED = 10  # skipped logs that are named

logs_argument = click.argument(
    "logs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)
"""Files and folders of logs, at least one."""


class BadInput(click.ClickException):
    """Input that cannot be worked with; the message is one line that says what to do."""

    exit_code = 3


class MeasuringCommand(click.Command):
    """A command whose errors are all `BadInput`."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """See `click.Command`."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            command = f"{parent.command_path} {info_name}" if parent else info_name
            raise BadInput(f"{_line(error)} See `{command} --help`.") from error

    def invoke(self, ctx: click.Context) -> Any:
        """See `click.Command`."""
        try:
            return super().invoke(ctx)
        except BadInput:
            raise
        except click.ClickException as error:
            raise BadInput(_line(error)) from error
        except (click.exceptions.Exit, click.Abort):
            raise
        except Exception:  # a fault of ours, which no CI may take for one of the answers
            traceback.print_exc()
            ctx.exit(FAULT)


def _line(error: click.ClickException) -> str:
    return " ".join(error.format_message().split())


def read_logs(logs: Sequence[Path]) -> Reading:
    """Read logs with a progress bar; what is skipped is said on stderr.

    Raises:
        BadInput: there is no sample in them.
    """
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    # Without a thread that refreshes it: the reader may fork only where there is none.
    bar = Progress(
        console=console, transient=True, auto_refresh=False, disable=not console.is_terminal
    )
    with bar:
        job = bar.add_task("reading logs", total=None)
        reading = read(
            logs, lambda done, of: bar.update(job, completed=done, total=of, refresh=True)
        )
    if not reading.rows:
        raise BadInput(f"there is no sample to measure. {_first(reading.skipped)}")
    for one in reading.skipped[:_LISTED]:
        console.print(f"skipped {one.log}: {one.why}")
    if len(reading.skipped) > _LISTED:
        console.print(f"skipped {len(reading.skipped) - _LISTED} more logs")
    return reading


def _first(skipped: Sequence[Skipped]) -> str:
    if not skipped:
        return "Give logs of finished evaluations."
    more = f" (and {len(skipped) - 1} more like it)" if len(skipped) > 1 else ""
    return f"{skipped[0].log}: {skipped[0].why}{more}. Give logs of `inspect eval sallyport/...`."
