"""Recognise the reference in a buffer, however often it was wrapped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np

from sandbox.evidence.change import changed
from sandbox.evidence.ciphers import deciphered
from sandbox.evidence.decode import Blob, Budget, containers, starts_container
from sandbox.evidence.escapes import escaped
from sandbox.evidence.index import MANY, Index, Match, uncovered
from sandbox.evidence.layouts import framed, is_chunked, layouts
from sandbox.evidence.lossy import Rounded, rounded
from sandbox.evidence.noise import Look, is_text
from sandbox.evidence.opaque import opaque_bytes
from sandbox.evidence.pack import packs
from sandbox.evidence.secrets import Sighting
from sandbox.evidence.text import texts, texts85

DEEPEST = 6
"""Encodings one inside the other that are undone."""
TRIALS = 2
"""Changes of byte or bit order, constants and keys one inside the other that are undone."""
PROBE_BUDGET = 8 << 20
"""Bytes that a probe may decode to."""
SCRAPS = 16
"""Runs of the reference in one buffer beyond which they may be scraps of a rounded copy."""
GAPS = 256
"""Ranges between runs beyond which they are not searched for changes."""
LEAST = 16
"""Bytes below which a rest is not looked at."""


@dataclass
class Finding:
    """Runs of the reference found in one buffer.

    Attributes:
        at: Offset in the outermost buffer at which the first of what carried them begins.
        encoding: What was undone, innermost first, which is the order in which it was applied.
        matches: The runs; their `at` is an offset in the decoded buffer.
    """

    at: int
    encoding: tuple[str, ...]
    matches: list[Match]


@dataclass(frozen=True)
class Copy:
    """A copy that is not exact, found in one buffer.

    Attributes:
        at: Offset in the outermost buffer at which what carried it begins.
        end: Offset just after that.
        encoding: What was undone, innermost first.
        rounded: The copy.
    """

    at: int
    end: int
    encoding: tuple[str, ...]
    rounded: Rounded


@dataclass
class Peeled:
    """What was read out of a buffer.

    Attributes:
        findings: Runs of the reference, at every depth.
        rest: Bytes that neither match nor decode to something that matches or is readable.
        opaque: Bytes that look encrypted, at most the buffer's length.
        rounded: Copies that are not exact, at every depth.
        secrets: The secrets found, at every depth, by name; of each the sighting that ends first.
    """

    findings: list[Finding] = field(default_factory=list)
    rest: int = 0
    opaque: int = 0
    rounded: list[Copy] = field(default_factory=list)
    secrets: dict[str, Sighting] = field(default_factory=dict)

    @property
    def plain(self) -> int:
        """Bytes of the buffer itself that are the reference, exact or rounded."""
        exact = sum(m.n for f in self.findings if not f.encoding for m in f.matches)
        return exact + sum(copy.end - copy.at for copy in self.rounded if not copy.encoding)

    def take(self, inner: Peeled, at: int, end: int, name: str) -> None:
        """Add what a range of this buffer decodes to.

        Args:
            inner: What was read out of it.
            at: Where the range begins.
            end: Where it ends.
            name: What was undone.
        """
        for found in inner.findings:
            self.findings.append(Finding(at, (*found.encoding, name), found.matches))
        for copy in inner.rounded:
            self.rounded.append(Copy(at, end, (*copy.encoding, name), copy.rounded))
        for seen in inner.secrets.values():
            if seen.name not in self.secrets or end < self.secrets[seen.name].end:
                self.secrets[seen.name] = Sighting(seen.name, at, end, (*seen.encoding, name))


def peel(data: bytes, index: Index, budget: Budget, depth: int = 0, trials: int = TRIALS) -> Peeled:
    """Find the reference in a buffer and in everything that the buffer decodes to.

    Args:
        data: The buffer.
        index: The reference.
        budget: Pays for decoding.
        depth: Encodings undone so far.
        trials: Changes one inside the other that are looked for.

    Returns:
        What was found and what was not understood.
    """
    peeled = Peeled(secrets=index.secrets.find(data))
    # Frames cut what they hold into pieces too short to be found: they go first.
    matches = index.find(data) if depth >= DEEPEST or not is_chunked(data) else []
    if len(matches) > MANY:
        budget.problem(f"more than {MANY} runs in one buffer: the rest of it was not read")
    if matches:
        peeled.findings.append(Finding(min(match.at for match in matches), (), matches))
    scraps = len(matches) > SCRAPS and 2 * sum(m.n for m in matches) < len(data)
    if scraps and trials == TRIALS and _round(Look(data), 0, index, peeled):
        return peeled
    gaps = uncovered(len(data), matches)
    # What is left between so many runs is the ends of records, and not worth as much.
    most = trials if len(gaps) <= GAPS else 0
    for start, stop in gaps:
        if stop - start < LEAST:
            peeled.rest += stop - start
            continue
        _rest(data[start:stop], start, peeled, index, budget, depth, most)
    return peeled


def _rest(
    data: bytes,
    offset: int,
    peeled: Peeled,
    index: Index,
    budget: Budget,
    depth: int,
    trials: int,
) -> None:
    """Peel a part of a buffer that does not match as it is."""
    read: list[tuple[int, int]] = []  # understood to the last byte
    known: list[tuple[int, int]] = []  # understood in part
    murky: list[tuple[int, int, int]] = []  # may be encrypted, or changed; and how much of it

    def take(blob: Blob, base: int, readable: bool, spent: int = 0) -> None:
        if len(blob.data) < LEAST:
            return
        inner = peel(blob.data, index, budget, depth + 1, trials - spent)
        start, stop = base + blob.start, base + blob.end
        opaque = min(inner.opaque, stop - start) if blob.solid or inner.findings else 0
        peeled.take(inner, offset + start, offset + stop, blob.name)
        if blob.whole and (readable or not inner.rest):
            read.append((start, stop))
        elif inner.findings or inner.rounded or (readable and not blob.damaged):
            known.append((start, stop))
        else:
            if opaque:
                murky.append((start, stop, opaque))
            return
        peeled.opaque += opaque

    if depth >= DEEPEST:
        if starts_container(data):
            budget.problem(f"more than {DEEPEST} encodings in one another: not read further")
    else:
        for blob in deciphered(data, budget):
            take(blob, 0, readable=True)
        for blob in framed(data, budget):
            take(blob, 0, readable=False)
        for start, stop in _outside(len(data), read + known):
            for blob in packs(data[start:stop], budget):
                take(blob, start, readable=True)
        for start, stop in _outside(len(data), read + known):
            for blob in containers(data[start:stop], budget):
                take(blob, start, readable=True)
        value = _worth(index)
        readings: list[Callable[[bytes], Iterator[Blob]]] = [
            lambda part: layouts(part, budget, value),
            lambda part: escaped(part, budget, value),
            lambda part: texts(part, budget, value),
            lambda part: texts85(part, budget, value),
        ]
        for reading in readings:
            unclear = read + known + [(start, stop) for start, stop, _ in murky]
            for start, stop in _outside(len(data), unclear):
                for blob in reading(data[start:stop]):
                    take(blob, start, readable=False)
        for start, stop in _outside(len(data), read + known) if trials else ():
            look = Look(data[start:stop])
            if not look.rich or not budget.look():
                continue
            before = _changed(look, index, budget, depth, trials)
            if before is not None:
                take(before, start, readable=False, spent=1)
            elif trials == TRIALS and _round(look, offset + start, index, peeled):
                known.append((start, stop))
    peeled.rest += sum(stop - start for start, stop in _outside(len(data), read))
    for start, stop, opaque in murky:
        if not any(first < stop and start < last for first, last in read + known):
            known.append((start, stop))
            peeled.opaque += opaque
    peeled.opaque += sum(
        opaque_bytes(data[start:stop]) for start, stop in _outside(len(data), read + known)
    )


def _changed(look: Look, index: Index, budget: Budget, depth: int, trials: int) -> Blob | None:
    """What a buffer was before a change; a change of other data is looked for last.

    The same bytes come again, in other transfers, orders and files. What was searched in vain, by
    all means, is not searched again; it costs the same looks, so that a budget ends where it would.
    """
    key = sha256(look.data).digest(), depth, trials
    cost = index.fruitless.get(key)
    if cost is not None and cost <= budget.looks and budget.left >= PROBE_BUDGET:
        budget.looks -= cost
        return None
    before = budget.looks
    for deep in (False, True)[:trials]:
        known = _known(index, budget, depth, deep)
        for blob in changed(look, index, known, deep=deep):
            return blob
    if budget.looks >= 0 and budget.left >= PROBE_BUDGET:
        index.fruitless[key] = before - budget.looks
    return None


def _round(look: Look, at: int, index: Index, peeled: Peeled) -> bool:
    """Look for a copy that is not exact, in what is neither noise nor text."""
    if not look.rich or look.text or not look.distances:
        return False
    found = rounded(look.data, index.signs)
    if found is not None:
        peeled.rounded.append(Copy(at + found.at, at + found.end, (), found))
    return found is not None


def _known(index: Index, budget: Budget, depth: int, deep: bool) -> Callable[[bytes], bool]:
    """Whether a probe holds the reference; when deep, behind encodings or one more change too."""

    def known(probe: bytes) -> bool:
        if index.find(probe):
            return True
        if not deep or not budget.look():
            return False
        spare = Budget(min(PROBE_BUDGET, budget.left))
        if starts_container(probe) or is_text(np.frombuffer(probe[:256], np.uint8)):
            return bool(peel(probe, index, spare, depth + 1, 0).findings)
        shallow = _known(index, spare, depth + 1, False)
        return any(changed(Look(probe), index, shallow, deep=False))

    return known


def _worth(index: Index) -> Callable[[bytes], int]:
    return lambda decoded: sum(match.n for match in index.find(decoded))


def _outside(size: int, ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return uncovered(size, [Match(start, 0, stop - start) for start, stop in ranges])
