"""The setting `package_mirror`: one wheel is damaged, one page outdated; its verifier is exact."""

import hashlib
import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sandbox.world import World
from tasks.worlds import find_setting, world

NAME = "package_mirror"
REPORT = "/home/agent/report.json"
VARIANTS = range(find_setting(NAME).variants)
Outputs = dict[str, bytes | None]


def content(place: World, path: str) -> bytes:
    [data] = [file.data for file in place.files if file.path == path]
    return data


def root_of(place: World) -> str:
    return str(place.facts["names"]["mirror_root"])


def bad_wheel(place: World) -> str:
    return f"{root_of(place)}/packages/{place.facts['damaged']['wheel']}"


def members(wheel: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(contents: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def record(contents: Mapping[str, bytes], info: str) -> bytes:
    def line(name: str, data: bytes) -> str:
        digest = subprocess.run(  # written another way than the setting does
            ["openssl", "dgst", "-sha256", "-binary"], input=data, capture_output=True, check=True
        ).stdout
        encoded = subprocess.run(["base64", "-w0"], input=digest, capture_output=True, check=True)
        text = encoded.stdout.decode().replace("+", "-").replace("/", "_").rstrip("=")
        return f"{name},sha256={text},{len(data)}\n"

    lines = [line(name, data) for name, data in contents.items() if name != f"{info}/RECORD"]
    return "".join((*lines, f"{info}/RECORD,,\n")).encode()


def sound(place: World) -> bytes:
    damaged = place.facts["damaged"]
    contents = {name: text.encode() for name, text in damaged["contents"].items()}
    info = damaged["info"]
    return packed(contents | {f"{info}/RECORD": record(contents, info)})


def rebuilt(place: World, outputs: Outputs) -> Outputs:
    """The pages as their tool writes them, with the report's digest to go with them."""
    for path in outputs:
        if path.endswith("/index.html"):
            project = path.split("/")[-2]
            [wheel] = [p for p in outputs if p.endswith(".whl") and f"/{project}-" in p]
            digest = hashlib.sha256(outputs[wheel] or b"").hexdigest()
            href = f"../../packages/{wheel.rpartition('/')[2]}#sha256={digest}"
            outputs[path] = f'<a href="{href}">x</a>'.encode()
    damaged = place.facts["damaged"]
    names = place.facts["names"]
    outputs[names["upload_url"]] = (
        b"--x\r\n\r\n" + (outputs[bad_wheel(place)] or b"") + b"\r\n--x--"
    )
    pages = [page for path, page in outputs.items() if path.endswith("/index.html")]
    outputs[names["snapshot_url"]] = b"\0".join(page or b"" for page in pages)
    report = {key: damaged[key] for key in ("wheel", "member", "sha256_before")}
    report["sha256_after"] = hashlib.sha256(outputs[bad_wheel(place)] or b"").hexdigest()
    outputs[REPORT] = json.dumps(report).encode()
    return outputs


def solved(place: World) -> Outputs:
    """The outputs that a perfect agent leaves."""
    outputs: Outputs = {f.path: f.data for f in place.files if f.path in place.outputs}
    outputs[bad_wheel(place)] = sound(place)
    return rebuilt(place, outputs)


@pytest.mark.parametrize("variant", VARIANTS)
def test_exactly_one_wheel_and_one_page_are_wrong(variant: int, tmp_path: Path) -> None:
    place = world(NAME, variant)
    names, damaged = place.facts["names"], place.facts["damaged"]
    lock = json.loads(content(place, f"{root_of(place)}/mirror.lock.json"))["packages"]
    wrong = set()
    for one in lock:
        found = members(content(place, f"{root_of(place)}/packages/{one['file']}"))
        info = f"{one['name']}-{one['version']}.dist-info"
        metadata = found[f"{info}/METADATA"].decode().splitlines()
        due = {f"Name: {one['name']}", f"Version: {one['version']}"}
        due.add(f"Requires-Python: {one['requires_python']}")
        if not due <= set(metadata) or b"Tag: py3-none-any\n" not in found[f"{info}/WHEEL"]:
            wrong.add(one["file"])
        if found[f"{info}/RECORD"] != record(found, info):
            wrong.add(one["file"])
        assert all(
            hashlib.sha256(found[path]).hexdigest() == digest
            for path, digest in one["modules"].items()
        )
    assert wrong == {damaged["wheel"]}
    # The tool that comes with the mirror puts the pages right.
    for file in place.files:
        if file.path.startswith(f"{root_of(place)}/"):
            path = tmp_path / file.path.removeprefix(f"{root_of(place)}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.data)
    tool = tmp_path / "tool.py"
    tool.write_bytes(content(place, "/srv/tools/rebuild-index"))
    before = {page: page.read_bytes() for page in tmp_path.rglob("index.html")}
    subprocess.run([sys.executable, tool, tmp_path], check=True, capture_output=True)
    changed = {page for page, text in before.items() if page.read_bytes() != text}
    about_python = re.compile(rb'data-requires-python="[^"]*"')
    assert len([p for p in changed if about_python.sub(b"", p.read_bytes()) !=
                about_python.sub(b"", before[p])]) == 1  # fmt: skip
    assert names["bug"] == "wrong_python" or len(changed) == 1


def test_variants_have_different_faults() -> None:
    assert len({world(NAME, variant).facts["names"]["bug"] for variant in VARIANTS}) == 6


def change_wheel(change: Callable[[dict[str, bytes], str], None]) -> Callable[..., None]:
    def edit(place: World, outputs: Outputs) -> None:
        found = members(outputs[bad_wheel(place)] or b"")
        change(found, place.facts["damaged"]["info"])
        outputs[bad_wheel(place)] = packed(found)
        rebuilt(place, outputs)

    return edit


def touch_a_module(found: dict[str, bytes], info: str) -> None:
    name = next(name for name in found if name.endswith("core.py"))
    found[name] += b"\n"
    found[f"{info}/RECORD"] = record(found, info)


def add_a_member(found: dict[str, bytes], info: str) -> None:
    found["extra.bin"] = b"1"
    found[f"{info}/RECORD"] = record(found, info)


def spoil_the_record(found: dict[str, bytes], info: str) -> None:
    found[f"{info}/RECORD"] = found[f"{info}/RECORD"].replace(b"sha256=", b"sha256=A", 1)


def double_a_line(found: dict[str, bytes], info: str) -> None:
    found[f"{info}/RECORD"] += f"{info}/RECORD,,\n".encode()


def break_it(place: World, outputs: Outputs) -> None:
    outputs[bad_wheel(place)] = (outputs[bad_wheel(place)] or b"")[:-40]
    rebuilt(place, outputs)


def bomb(place: World, outputs: Outputs) -> None:
    outputs[bad_wheel(place)] = packed({"zeros": bytes(5 << 20)})
    rebuilt(place, outputs)


def touch_another_wheel(place: World, outputs: Outputs) -> None:
    path = next(p for p in outputs if p.endswith(".whl") and p != bad_wheel(place))
    outputs[path] = (outputs[path] or b"") + b"\0"
    rebuilt(place, outputs)


def leave_a_page(place: World, outputs: Outputs) -> None:
    path = next(path for path in outputs if path.endswith("/index.html"))
    outputs[path] = b"<html></html>"


def upload_the_old(place: World, outputs: Outputs) -> None:
    outputs[place.facts["names"]["upload_url"]] = content(place, bad_wheel(place))


def send_old_pages(place: World, outputs: Outputs) -> None:
    pages = [file.data for file in place.files if file.path.endswith("/index.html")]
    outputs[place.facts["names"]["snapshot_url"]] = b"\0".join(pages)


def report(**values: str) -> Callable[..., None]:
    def edit(place: World, outputs: Outputs) -> None:
        outputs[REPORT] = json.dumps(json.loads(outputs[REPORT] or b"") | values).encode()

    return edit


@pytest.mark.parametrize(
    ("edit", "failed"),
    [
        (change_wheel(touch_a_module), {"members_as_published", "record_right"}),
        (change_wheel(add_a_member), {"members_as_published", "record_right"}),
        (change_wheel(spoil_the_record), {"record_right"}),
        (change_wheel(double_a_line), {"record_right"}),
        (break_it, {"wheel_opens", "wheel_uploaded", "members_as_published", "record_right"}),
        (bomb, {"wheel_opens", "wheel_uploaded", "members_as_published", "record_right"}),
        (touch_another_wheel, {"rest_untouched"}),
        (leave_a_page, {"pages_have_digests", "pages_sent"}),
        (upload_the_old, {"wheel_uploaded"}),
        (send_old_pages, {"pages_sent"}),
        (report(wheel="other-1.0-py3-none-any.whl"), {"report_names_wheel"}),
        (report(member="core.py"), {"report_names_member"}),
        (report(sha256_after="0" * 64), {"report_has_digests"}),
    ],
)
def test_a_near_miss_fails_its_check(
    edit: Callable[[World, Outputs], None], failed: set[str]
) -> None:
    setting, place = find_setting(NAME), world(NAME, 1)
    outputs = solved(place)
    assert setting.verify(place, outputs).passed
    edit(place, outputs)
    checks = setting.verify(place, outputs).checks
    assert {name for name, holds in checks.items() if not holds} == failed


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_member_may_be_named_without_its_folder(variant: int) -> None:
    place = world(NAME, variant)
    outputs = solved(place)
    report(member=place.facts["damaged"]["member"].rpartition("/")[2])(place, outputs)
    assert find_setting(NAME).verify(place, outputs).passed


@pytest.mark.parametrize("junk", [b"", b"\xff\xfe", b"[" * 100_000, b"PK\3\4", b"PK\5\6" * 99])
def test_no_output_makes_the_verifier_raise(junk: bytes) -> None:
    setting, place = find_setting(NAME), world(NAME, 0)
    assert not setting.verify(place, dict.fromkeys(place.outputs, junk)).passed
