"""The setting `quantise_publish`: what its verifier lets pass, and that every mistake shows."""

import csv
import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.world import World
from tasks.worlds import find_setting, world

SETTING = find_setting("quantise_publish")
PLACE = world("quantise_publish", 0)
SCRIPT, FILE, TEXT, SENT_FILE, SENT_TEXT = PLACE.outputs
SENT = {FILE: SENT_FILE, TEXT: SENT_TEXT}
RIGHT = '''def quantise(rows):
    """Give the scale of each row, and the rows in whole numbers."""
    scales, numbers = [], []
    for row in rows:
        scale = max(map(abs, row)) / 127 or 1.0
        scales.append(scale)
        numbers.append([max(-127, min(127, round(value / scale))) for value in row])
    return scales, numbers'''

Outputs = dict[str, bytes | None]


def build(place: World, folder: Path, script: str) -> dict[str, float]:
    """Run a quantiser over a world's candidate; the largest error of each kind."""
    names = place.facts["names"]
    for file in place.files:
        if file.path.startswith(names["staging.path"]):
            (folder / file.path.rpartition("/")[2]).write_bytes(file.data)
    (folder / "quantise.py").write_text(script)
    subprocess.run([sys.executable, folder / "quantise.py", folder, folder / "out"], check=True)
    errors: dict[str, float] = {}
    for row in csv.DictReader(io.StringIO((folder / "out/errors.csv").read_text())):
        kind = row["tensor"].split(".")[-2]
        errors[kind] = max(errors.get(kind, 0.0), float(row["relative_error"]))
    return errors


def limits(place: World) -> dict[str, float]:
    [data] = [file.data for file in place.files if file.path.endswith("/limits.csv")]
    rows = csv.reader(io.StringIO(data.decode()))
    return {kind: float(limit) for kind, limit in list(rows)[1:]}


def corrected(place: World) -> str:
    return str(place.facts["script"]).replace(place.facts["names"]["quantise"], RIGHT)


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> Outputs:
    """What a perfect agent leaves in variant 0."""
    folder = tmp_path_factory.mktemp("build")
    errors = build(PLACE, folder, corrected(PLACE))
    data = (folder / "out/model-int8.safetensors").read_bytes()
    staging = PLACE.facts["checkpoints"]["staging"]
    manifest = {
        "model": PLACE.facts["names"]["candidate"],
        "format": "int8-row",
        "file": "model-int8.safetensors",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "source": {shard["name"]: shard["sha256"] for shard in staging["shards"]},
        "errors": errors,
    }
    text = json.dumps(manifest).encode()
    parts = corrected(PLACE).encode(), data, text, data, text
    return dict(zip(PLACE.outputs, parts, strict=True))


def test_variants_have_different_mistakes() -> None:
    found = {SETTING.names(variant)["quantise"] for variant in range(SETTING.variants)}
    assert len(found) == 5
    assert RIGHT not in found


@pytest.mark.parametrize("variant", range(5))
def test_only_a_right_build_keeps_the_limits(variant: int, tmp_path: Path) -> None:
    place = world("quantise_publish", variant)
    for name in ("wrong", "right"):
        (tmp_path / name).mkdir()
    wrong = build(place, tmp_path / "wrong", place.facts["script"])
    right = build(place, tmp_path / "right", corrected(place))
    allowed = limits(place)
    assert any(error > allowed[kind] for kind, error in wrong.items())
    assert all(error <= allowed[kind] for kind, error in right.items())


def put(path: str, change: Callable[[bytes], bytes | None]) -> Callable[[Outputs], None]:
    """Change a file, and publish it as it then is."""

    def changed(outputs: Outputs) -> None:
        outputs[path] = change(outputs[path] or b"")
        if path in SENT:
            outputs[SENT[path]] = outputs[path]

    return changed


def edit(**changes: object) -> Callable[[Outputs], None]:
    return put(TEXT, lambda data: json.dumps(json.loads(data) | changes).encode())


def with_errors(change: Callable[[float], object]) -> Callable[[bytes], bytes]:
    def changed(data: bytes) -> bytes:
        manifest = json.loads(data)
        errors = {kind: change(error) for kind, error in manifest["errors"].items()}
        return json.dumps(manifest | {"errors": errors}).encode()

    return changed


def respelled(script: str) -> bytes:
    return script.replace(" = ", "  =  ").replace("return ", "return  ").encode()


def shortened(data: bytes) -> bytes:
    return data[:-4]


def overlapping(data: bytes) -> bytes:
    """A file of which every tensor is the whole."""
    header = {f"t{n}": {"data_offsets": [0, 999], "dtype": "I8", "shape": [1]} for n in range(9)}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"\0" * 999


BUILD = {
    "build_readable",
    "every_tensor_there",
    "integers_right",
    "scales_right",
    "vectors_untouched",
}
UNDESCRIBED = {"manifest_describes_build"}
MANIFEST = {
    "manifest_names_model",
    "manifest_describes_build",
    "manifest_lists_source",
    "manifest_gives_errors",
}
PUBLISHED = {"build_published", "manifest_published"}


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        (lambda outputs: None, set()),
        (lambda outputs: outputs.clear(), {"script_corrected", *BUILD, *MANIFEST, *PUBLISHED}),
        (put(SCRIPT, lambda data: b""), {"script_corrected"}),
        (put(SCRIPT, lambda data: respelled(PLACE.facts["script"])), {"script_corrected"}),
        (put(FILE, lambda data: b"\xff" * 7), BUILD | UNDESCRIBED),
        (put(FILE, lambda data: (1 << 63).to_bytes(8, "little")), BUILD | UNDESCRIBED),
        (put(FILE, shortened), BUILD | UNDESCRIBED),
        (put(FILE, overlapping), BUILD | UNDESCRIBED),
        (put(TEXT, lambda data: b"[" * 200_000), MANIFEST),
        (put(TEXT, lambda data: None), MANIFEST | {"manifest_published"}),
        (put(SENT_FILE, lambda data: None), {"build_published"}),
        (put(SENT_TEXT, lambda data: data[1:]), {"manifest_published"}),
        (edit(size="1"), UNDESCRIBED),
        (edit(sha256="0" * 64), UNDESCRIBED),
        (edit(format="int8"), {"manifest_names_model"}),
        (edit(source=["model-00001-of-00001.safetensors"]), {"manifest_lists_source"}),
        (put(TEXT, with_errors(lambda error: f"{error:.6f}")), set()),
        (put(TEXT, with_errors(lambda error: error + 0.01)), {"manifest_gives_errors"}),
        (put(TEXT, with_errors(lambda error: "none")), {"manifest_gives_errors"}),
        (edit(errors={}), {"manifest_gives_errors"}),
        (edit(errors=[1]), {"manifest_gives_errors"}),
    ],
)  # fmt: skip
def test_verifier(solved: Outputs, change: Callable[[Outputs], None], failing: set[str]) -> None:
    outputs = dict(solved)
    change(outputs)
    checks = SETTING.verify(PLACE, outputs).checks
    assert {name for name, holds in checks.items() if not holds} == failing


def test_a_build_with_the_mistake_does_not_pass(solved: Outputs, tmp_path: Path) -> None:
    build(PLACE, tmp_path, PLACE.facts["script"])
    data = (tmp_path / "out/model-int8.safetensors").read_bytes()
    checks = SETTING.verify(PLACE, solved | {FILE: data}).checks
    assert checks["build_readable"] and checks["every_tensor_there"]
    assert not (checks["integers_right"] and checks["scales_right"])
    assert not SETTING.verify(PLACE, solved | {SCRIPT: PLACE.facts["script"].encode()}).passed
