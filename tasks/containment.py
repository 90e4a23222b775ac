"""No sample starts in a kind of cell that has not just been proved closed."""

from __future__ import annotations

import anyio
from anyio.lowlevel import RunVar
from inspect_ai.log import transcript

from sandbox.cell import Provider
from sandbox.certify import Certificate, certify_fresh

_certificates: dict[Provider, Certificate] = {}
_lock: RunVar[anyio.Lock] = RunVar("certify")  # of one event loop: each evaluation has its own


class CellOpenError(RuntimeError):
    """A probe found a way out, or something that should not be there; one line names it."""


async def require_closed_cell(provider: Provider) -> None:
    """Certify a fresh cell before this process's first sample, and log it with every sample.

    The first sample's transcript holds the whole certificate, the others its digest.

    Raises:
        CellOpenError: a probe failed; no sample may run.
        CertifyError, CellError: the probes could not be run.
    """
    try:
        lock = _lock.get()
    except LookupError:
        lock = anyio.Lock()
        _lock.set(lock)
    async with lock:
        certificate = _certificates.get(provider)
        if certificate is None:
            certificate = await certify_fresh(provider)
            logged = certificate.to_json()
            if certificate.ok:  # an open cell is probed again: it may have been closed since
                _certificates[provider] = certificate
        else:
            logged = {"digest": certificate.digest, "key": certificate.key}
    transcript().info(logged, source="sallyport/certificate")
    if not certificate.ok:
        worst = certificate.failed[0]
        raise CellOpenError(
            f"the {provider} cell is open in {len(certificate.failed)} places, the first being "
            f"{worst.name}: {worst.detail}. See `sallyport certify --provider {provider}`"
        )
