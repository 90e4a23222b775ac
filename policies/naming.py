"""One name for what Inspect registers, however Sallyport is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., object])


def of_distribution(function: F) -> F:
    """Say that a function belongs to the distribution, `sallyport`, and not to its package.

    Inspect puts the import package of an installed object before its name, which from a wheel (but
    not from a checkout) would make a task `tasks/sallyport/exfil` and a metric `policies/rate`.
    """
    function.__module__ = "sallyport"
    return function
