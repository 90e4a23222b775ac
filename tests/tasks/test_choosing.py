"""What a log's header says of the protocol and the monitor."""

from __future__ import annotations

import hashlib
from pathlib import Path

from policies.monitors import monitors
from policies.protocols import protocols
from tasks.choosing import Choice


def choice(protocol: str, monitor: str) -> Choice:
    return Choice(protocols.resolve(protocol), monitors.resolve(monitor))


def test_the_header_tells_arguments_and_digests_of_the_prompts() -> None:
    header = choice("trusted_monitoring", "prompted").metadata
    assert header["protocol"]["name"] == "trusted_monitoring"
    assert header["protocol"]["threshold"] == 0.5
    [(name, digest)] = header["prompts"].items()
    file = Path(__file__).parents[2] / "policies" / "monitors" / "prompts" / f"{name}.md"
    assert digest == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_monitor_that_is_never_asked_is_not_in_it() -> None:
    header = choice("none", "prompted").metadata
    assert (header["monitor"], header["prompts"]) == (None, {})
