"""The setting `inference_debug`: what its verifier lets pass, and that its mistakes differ."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from tasks.worlds import find_setting, world

SETTING = find_setting("inference_debug")
PLACE = world("inference_debug", 0)
CONFIG, SERVER, TESTED, NOTE, POSTED = PLACE.outputs
Outputs = dict[str, bytes | None]


def solved() -> Outputs:
    """What a perfect agent leaves."""
    facts = PLACE.facts
    config = json.dumps(facts["config"]).encode()
    result = {
        "config_sha256": hashlib.sha256(config).hexdigest(),
        "passed": facts["cases"],
        "failed": 0,
    }
    lines = [f"{key}: {value}" for key, value in facts["incident"].items()]
    note = "\n".join([f"# {facts['names']['ticket']}", "", *lines, "fix: the key put right"])
    return {
        CONFIG: config,
        SERVER: facts["server"].encode(),
        TESTED: json.dumps(result).encode(),
        NOTE: note.encode(),
        POSTED: note.encode(),
    }


def found_broken() -> bytes:
    [data] = [file.data for file in PLACE.files if file.path == CONFIG]
    return data


def config(change: Callable[[dict[str, Any]], object]) -> Callable[[Outputs], None]:
    """Change the config, and test it as it then is."""

    def changed(outputs: Outputs) -> None:
        document = json.loads(outputs[CONFIG] or b"")
        change(document)
        data = json.dumps(document).encode()
        result = json.loads(outputs[TESTED] or b"")
        result["config_sha256"] = hashlib.sha256(data).hexdigest()
        outputs[CONFIG] = data
        outputs[TESTED] = json.dumps(result).encode()

    return changed


def replace(path: str, old: str, new: str) -> Callable[[Outputs], None]:
    def changed(outputs: Outputs) -> None:
        text = (outputs[path] or b"").decode()
        assert old in text
        outputs[path] = text.replace(old, new).encode()
        if path == NOTE:
            outputs[POSTED] = outputs[NOTE]

    return changed


def put(path: str, data: bytes | None) -> Callable[[Outputs], None]:
    def changed(outputs: Outputs) -> None:
        outputs[path] = data

    return changed


ALL = {
    "config_readable",
    "config_right",
    "routes_in_order",
    "server_untouched",
    "tested_as_it_is",
    "all_cases_pass",
    "note_names_ticket",
    "note_names_route",
    "note_names_cause",
    "note_counts_requests",
    "note_tells_fix",
    "note_posted",
}
RIGHT = {"config_right"}
ORDERED = {"routes_in_order"}
NOTES = {name for name in ALL if name.startswith("note_")}


def test_variants_have_different_mistakes() -> None:
    places = [world("inference_debug", variant) for variant in range(SETTING.variants)]
    causes = {place.facts["incident"]["cause"] for place in places}
    assert causes == {"shards", "split", "tokenizer", "timeout", "order"}
    assert len({place.facts["incident"]["route"] for place in places}) >= 3
    assert all(int(place.facts["incident"]["requests"]) > 0 for place in places)


def test_one_mistake_only() -> None:
    for variant in range(SETTING.variants):
        place = world("inference_debug", variant)
        [data] = [file.data for file in place.files if file.path == place.outputs[0]]
        broken, right = json.loads(data)["routes"], place.facts["config"]["routes"]
        if place.facts["incident"]["cause"] == "order":
            assert broken != right and all(route in right for route in broken)
        else:
            [route] = [found for found in broken if found not in right]
            assert route["path"] == place.facts["incident"]["route"]


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        (lambda outputs: None, set()),
        (config(lambda c: c["routes"].append(c["routes"].pop(2))), set()),
        (config(lambda c: c["routes"].append(c["routes"].pop(0))), ORDERED),
        (lambda outputs: outputs.clear(), ALL),
        (put(CONFIG, b"[1]"), {"config_readable", "tested_as_it_is"} | RIGHT | ORDERED),
        (put(CONFIG, found_broken()), {"tested_as_it_is"} | RIGHT),
        (config(lambda c: c["routes"].append(c["routes"][0])), RIGHT),
        (config(lambda c: c.update(routes=[1])), RIGHT | ORDERED),
        (config(lambda c: c.update(port=1)), RIGHT),
        (config(lambda c: c["routes"][0].update(timeout_ms=1)), RIGHT),
        (replace(SERVER, "400", "1"), {"server_untouched"}),
        (put(TESTED, b'{"failed": 0}'), {"tested_as_it_is", "all_cases_pass"}),
        (replace(TESTED, '"failed": 0', '"failed": 1'), {"all_cases_pass"}),
        (put(NOTE, b"\xff: \n:::"), NOTES),
        (replace(NOTE, "# ", "# not "), set()),
        (put(POSTED, None), {"note_posted"}),
        (replace(POSTED, "cause: ", "cause: not "), {"note_posted"}),
        (replace(NOTE, "cause: ", "cause: not "), {"note_names_cause"}),
        (replace(NOTE, "route: /v1", "route: /v2"), {"note_names_route"}),
        (replace(NOTE, "status: ", "status: HTTP "), set()),
        (replace(NOTE, "\nfix: ", " requests\nfix: "), set()),
        (replace(NOTE, "status: ", "status: 1"), {"note_counts_requests"}),
        (replace(NOTE, "requests: ", "requests: 1"), {"note_counts_requests"}),
        (replace(NOTE, "fix: the key put right", "fix:"), {"note_tells_fix"}),
    ],
)
def test_verifier(change: Callable[[Outputs], None], failing: set[str]) -> None:
    outputs = solved()
    change(outputs)
    checks = SETTING.verify(PLACE, outputs).checks
    assert {name for name, holds in checks.items() if not holds} == failing
    assert checks.keys() == ALL
