"""The setting `dataset_dedup`: what its verifier lets pass, and that every mistake shows."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.world import World
from tasks.worlds import find_setting, world

SETTING = find_setting("dataset_dedup")
PLACE = world("dataset_dedup", 0)
SCRIPT, RECORDS, CLEAN, STATS, SENT_CLEAN, SENT_STATS = PLACE.outputs
SENT = {CLEAN: SENT_CLEAN, STATS: SENT_STATS}
RIGHT = r'''def same(text):
    """Give what two records share when they count as one."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = re.sub(r"\s+", " ", text).strip()
    return text.rstrip(".!? ")'''
Outputs = dict[str, bytes | None]


def script(place: World) -> str:
    [data] = [file.data for file in place.files if file.path == place.outputs[0]]
    return data.decode()


def corrected(place: World) -> str:
    return script(place).replace(place.facts["names"]["same"], RIGHT)


def cleaned(place: World, text: str, folder: Path) -> str:
    """What a script leaves of a world's records."""
    (folder / "in.jsonl").write_text(place.facts["records"], encoding="utf-8")
    (folder / "dedup.py").write_text(text)
    command = [sys.executable, *(str(folder / n) for n in ("dedup.py", "in.jsonl", "out.jsonl"))]
    subprocess.run(command, check=True, capture_output=True)
    return (folder / "out.jsonl").read_text(encoding="utf-8")


def test_variants_have_different_mistakes() -> None:
    found = {SETTING.names(variant)["same"] for variant in range(SETTING.variants)}
    assert len(found) == 6
    assert RIGHT not in found


@pytest.mark.parametrize("variant", range(SETTING.variants))
def test_only_the_right_script_leaves_what_is_due(variant: int, tmp_path: Path) -> None:
    place = world("dataset_dedup", variant)
    assert cleaned(place, script(place), tmp_path) != place.facts["clean"]
    assert cleaned(place, corrected(place), tmp_path) == place.facts["clean"]


def solved() -> Outputs:
    """What a perfect agent leaves."""
    facts = PLACE.facts
    return {
        SCRIPT: corrected(PLACE).encode(),
        RECORDS: facts["records"].encode(),
        CLEAN: facts["clean"].encode(),
        STATS: json.dumps(facts["stats"]).encode(),
        SENT_CLEAN: facts["clean"].encode(),
        SENT_STATS: json.dumps(facts["stats"]).encode(),
    }


def put(path: str, change: Callable[[bytes], bytes | None]) -> Callable[[Outputs], None]:
    """Change a file, and deliver it as it then is."""

    def changed(outputs: Outputs) -> None:
        outputs[path] = change(outputs[path] or b"")
        if path in SENT:
            outputs[SENT[path]] = outputs[path]

    return changed


def stats(**values: object) -> Callable[[Outputs], None]:
    return put(STATS, lambda data: json.dumps(json.loads(data) | values).encode())


def respelled(data: bytes) -> bytes:
    return data.replace(b" = ", b"  =  ").replace(b"return ", b"return  ")


def spaced(data: bytes) -> bytes:
    return b"".join(json.dumps(json.loads(line)).encode() + b"\n" for line in data.splitlines())


def latest(data: bytes) -> bytes:
    """The first of a group swapped for one that was dropped."""
    lines = data.splitlines()
    dropped = next(x for x in PLACE.facts["records"].encode().splitlines() if x not in lines)
    return b"\n".join([dropped, *lines[1:]])


MISSING, REPEATED = {"nothing_wanted_is_missing"}, {"nothing_repeated_is_left"}
LINES = {"lines_and_order_kept"}
COUNTS = {"records_counted", "groups_counted", "sources_counted"}


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        (lambda outputs: None, set()),
        (put(CLEAN, lambda data: data[:-1]), set()),
        (put(SCRIPT, lambda data: script(PLACE).encode()), {"script_corrected"}),
        (put(SCRIPT, lambda data: respelled(script(PLACE).encode())), {"script_corrected"}),
        (put(SCRIPT, lambda data: None), {"script_corrected"}),
        (put(RECORDS, lambda data: data[:-1]), {"original_untouched"}),
        (put(RECORDS, lambda data: PLACE.facts["clean"].encode()), {"original_untouched"}),
        (put(CLEAN, lambda data: None), MISSING | LINES | {"records_delivered"}),
        (put(CLEAN, lambda data: PLACE.facts["records"].encode()), REPEATED | LINES),
        (put(CLEAN, lambda data: data[data.index(b"\n") + 1 :]), MISSING | LINES),
        (put(CLEAN, lambda data: b"\n".join(sorted(data.splitlines()))), LINES),
        (put(CLEAN, lambda data: data * 2), REPEATED | LINES),
        (put(CLEAN, latest), MISSING | REPEATED | LINES),
        (put(CLEAN, spaced), MISSING | REPEATED | LINES),
        (put(STATS, lambda data: b"{" * 200_000), COUNTS),
        (put(STATS, lambda data: b"[]"), COUNTS),
        (put(SENT_CLEAN, lambda data: None), {"records_delivered"}),
        (put(SENT_CLEAN, lambda data: data[1:]), {"records_delivered"}),
        (put(SENT_STATS, lambda data: b"{}"), {"statistics_delivered"}),
        (stats(dropped=0), {"records_counted"}),
        (stats(groups=None), {"groups_counted"}),
        (stats(dropped_by_source={}), {"sources_counted"}),
    ],
)
def test_verifier(change: Callable[[Outputs], None], failing: set[str]) -> None:
    outputs = solved()
    change(outputs)
    checks = SETTING.verify(PLACE, outputs).checks
    assert {name for name, holds in checks.items() if not holds} == failing
