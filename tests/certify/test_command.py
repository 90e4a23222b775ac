"""`sallyport certify`: what is open comes first, and the exit status says whether anything is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner, Result

from sandbox import cell
from sandbox.cell import CellError, Provider
from sandbox.certificate import signing
from sandbox.certify import Certificate, CertifyError, Probe, Verdict, run_key, verify
from tasks import cli


def certificate(verdict: Verdict) -> Certificate:
    probes = (Probe("fs.devices", verdict, "/dev/kvm"), Probe("net.public4", "ok", "the gateway"))
    unsigned = Certificate("namespace", "full", 0.0, 1.0, "n", probes, (1,), run_key(), "", "")
    body = {k: v for k, v in unsigned.to_json().items() if k not in ("digest", "signature")}
    digest, signature = signing.seal(body)
    return replace(unsigned, digest=digest, signature=signature)


def sallyport(monkeypatch: pytest.MonkeyPatch, outcome: object, *arguments: str) -> Result:
    async def made(provider: Provider) -> Certificate:
        if isinstance(outcome, Exception):
            raise outcome
        assert isinstance(outcome, Certificate)
        return outcome

    monkeypatch.setattr(cli, "certify_fresh", made)
    monkeypatch.setattr(cell, "choose", lambda wanted: "namespace")
    return CliRunner().invoke(cli.main, ["certify", *arguments])


@pytest.mark.parametrize(("verdict", "status"), [("ok", 0), ("not applicable", 0), ("failed", 1)])
def test_the_exit_status(verdict: Verdict, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in ((), ("--json",)):
        assert sallyport(monkeypatch, certificate(verdict), *arguments).exit_code == status


def test_what_is_open_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = sallyport(monkeypatch, certificate("failed")).stdout
    assert printed.index("OPEN in 1") < printed.index("fs.devices") < printed.index("network")
    assert "/dev/kvm" in printed


def test_json_is_the_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.loads(sallyport(monkeypatch, certificate("failed"), "--json").stdout)
    assert verify(document, run_key())
    assert document["ok"] is False


@pytest.mark.parametrize("error", [CellError("no sandbox works here"), CertifyError("no python3")])
def test_what_cannot_be_tried_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = sallyport(monkeypatch, error)
    assert (result.exit_code, result.stderr) == (2, f"Error: {error}\n")


def test_an_unknown_provider_is_a_usage_error() -> None:
    result = CliRunner().invoke(cli.main, ["certify", "--provider", "chroot"])
    assert result.exit_code == 2
    assert "chroot" in result.stderr


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("provider", "docker"),
        ("scope", "quiet"),
        ("started", 1.0),
        ("nonce", "m"),
        ("ok", True),
        ("probes", []),
        ("streams", []),
        ("key", "00" * 32),
        ("digest", "00" * 32),
        ("signature", "00" * 64),
        ("signature", "not hexadecimal"),
        ("signature", None),
        ("more", 1),
    ],
)
def test_a_changed_certificate_does_not_verify(field: str, value: object) -> None:
    document = certificate("failed").to_json()
    assert verify(document, run_key())
    assert not verify(document | {field: value}, run_key())


def test_a_certificate_signed_with_another_key_does_not_verify() -> None:
    document = certificate("ok").to_json()
    assert not verify(document, "ab" * 32)
    assert not verify(document, "no key")
    assert not verify({}, run_key())
