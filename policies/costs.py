"""What control costs: tokens, money and seconds by role, cached tokens included.

Inspect tells its hooks of every model call in the context of the call, so whatever a monitor does
inside, its calls are charged to the role that the driver named around it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

from inspect_ai.hooks import Hooks, ModelCacheUsageData, ModelUsageData, hooks
from inspect_ai.model import ModelUsage
from inspect_ai.util import (
    message_limit,
    suspend_token_limit,
    suspend_turn_limit,
    suspend_working_limit,
)

from policies.ledger import CostRecord, TurnRecord

_account: ContextVar[CostRecord | None] = ContextVar("sallyport_account", default=None)


class _Costs(Hooks):
    """Charges every model call to the account of its context.

    A reply from Inspect's own cache is charged too: without that cache it costs as much.
    """

    def enabled(self) -> bool:
        return _account.get() is not None

    async def on_model_usage(self, data: ModelUsageData) -> None:
        _charge(data.usage)

    async def on_model_cache_usage(self, data: ModelCacheUsageData) -> None:
        _charge(data.usage)


@cache
def _listen() -> None:
    # Not when this module is imported: every `inspect` command would announce the hook.
    hooks(name="sallyport_costs", description="Costs of control by role.")(_Costs)


@contextmanager
def charged(account: CostRecord) -> Iterator[None]:
    """Charge the model calls made in this context, and its time, to an account.

    Inside another such context both go to the inner account only.
    """
    _listen()
    outer = _account.get()
    token = _account.set(account)
    began = time.perf_counter()
    try:
        yield
    finally:
        _account.reset(token)
        seconds = time.perf_counter() - began
        account.seconds += seconds
        if outer is not None:
            outer.seconds -= seconds


@contextmanager
def unmetered() -> Iterator[None]:
    """Model calls of blue and of red do not consume the agent's limits.

    Those on cost and time are the user's, on the whole sample, and count everything.
    """
    with ExitStack() as stack:
        for suspend in (suspend_token_limit, suspend_turn_limit, suspend_working_limit):
            stack.enter_context(suspend())
        stack.enter_context(message_limit(None))
        yield


def _charge(usage: ModelUsage) -> None:
    account = _account.get()
    assert account is not None, "the hook is enabled only where there is an account"
    add(
        account,
        CostRecord(
            calls=1,
            input=usage.input_tokens,
            output=usage.output_tokens,
            cache_read=usage.input_tokens_cache_read or 0,
            cache_write=usage.input_tokens_cache_write or 0,
            money=usage.total_cost,
        ),
    )


def add(account: CostRecord, cost: CostRecord) -> None:
    """Add a cost to an account; its money is known only where that of every call is."""
    if not account.calls:
        account.money = cost.money
    elif cost.calls:
        known = account.money is not None and cost.money is not None
        account.money = (account.money or 0.0) + (cost.money or 0.0) if known else None
    account.calls += cost.calls
    account.input += cost.input
    account.output += cost.output
    account.cache_read += cost.cache_read
    account.cache_write += cost.cache_write
    account.seconds += cost.seconds


def totals(turns: Iterable[TurnRecord]) -> dict[str, dict[str, Any]]:
    """What a sample cost, by role, as plain data of some 400 bytes; see `CostRecord`."""
    sums: dict[str, CostRecord] = {}
    for turn in turns:
        for role, cost in turn.cost.items():
            add(sums.setdefault(role, CostRecord()), cost)
    for total in sums.values():
        total.seconds = round(total.seconds, 3)
    return {role: total.model_dump() for role, total in sums.items()}
