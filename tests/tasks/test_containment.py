"""No sample runs before a cell of its kind was proved closed, and the proof is in the log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from inspect_ai.log import read_eval_log

from sandbox.certificate.findings import Probe
from sandbox.certify import Certificate, certify_fresh, run_key, verify
from tasks import containment
from tests.tasks.evals import rows, run

pytestmark = pytest.mark.namespace


@pytest.fixture(autouse=True)
def _nothing_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containment, "_certificates", {})


def logged(folder: Path) -> list[Any]:
    log = run(folder, modes="honest", eval_limit=2)
    # Inspect keeps long strings apart; a signature is over the whole.
    found = rows(read_eval_log(log.location, resolve_attachments=True))
    events = [e for row in found for e in row.sample.events if e.event == "info"]
    return [e.data for e in events if e.source == "sallyport/certificate"]


def test_the_log_holds_one_signed_certificate_and_its_digest_with_every_sample(
    tmp_path: Path,
) -> None:
    first, second = sorted(logged(tmp_path), key=lambda data: -len(str(data)))
    assert len(first["probes"]) >= 90
    assert verify(first, run_key())
    assert not verify(first | {"nonce": "another"}, run_key())
    assert second == {"digest": first["digest"], "key": first["key"]}


def test_an_open_cell_refuses_the_run_and_says_what_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def opened(provider: Any) -> Certificate:
        hole = Probe("network.host_canary", "failed", "the host answered on 192.0.2.2:8000")
        return replace(await certify_fresh(provider), probes=(hole,))

    monkeypatch.setattr(containment, "certify_fresh", opened)
    log = run(tmp_path, modes="honest", eval_limit=1)
    assert log.status == "error"
    assert log.error is not None
    assert "network.host_canary: the host answered on 192.0.2.2:8000" in log.error.message
    assert log.samples is not None
    assert not [e for sample in log.samples for e in sample.events if e.event == "tool"]
