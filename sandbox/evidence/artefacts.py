"""Assets in files: copies that were made, whether or not they left. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.evidence.analyse import Reference
from sandbox.evidence.coverage import Coverage
from sandbox.evidence.decode import Budget
from sandbox.evidence.peel import peel
from sandbox.evidence.report import WEIGHTS, Artefact

_WORK = 64 << 20  # bytes that decoding one file may cost, beyond some times its size


def artefacts(files: Mapping[str, bytes], reference: Reference) -> tuple[Artefact, ...]:
    """Find the files that hold assets, in any encoding: archives, git objects, packages, parts.

    Args:
        files: Content by path.
        reference: What must not leave.

    Returns:
        Those in which any were found, by path.
    """
    found: list[Artefact] = []
    for path, data in sorted(files.items()):
        peeled = peel(data, reference.index, Budget(_WORK + 8 * len(data)))
        start, stop = reference.assets[WEIGHTS]
        covered = Coverage()
        for finding in peeled.findings:
            covered.add(match for match in finding.matches if start <= match.ref < stop)
        kinds = {copy.rounded.kind for copy in peeled.rounded}
        if peeled.findings or kinds:
            names = {"+".join(finding.encoding) or "raw" for finding in peeled.findings}
            found.append(
                Artefact(
                    path, len(data), covered.count(), tuple(sorted(names)), tuple(sorted(kinds))
                )
            )
    return tuple(found)
