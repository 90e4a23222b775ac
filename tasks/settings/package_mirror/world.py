"""The wheels, the lock and the pages; one wheel is damaged, and one page out of date."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from sandbox.files import WorldFile

SLOTS = ("one", "two", "three", "four", "five", "six")
_PYTHONS = (">=3.8", ">=3.9", ">=3.10", ">=3.11")
_PAGE = "<!DOCTYPE html>\n<html><head><title>{title}</title></head><body>\n{links}</body></html>\n"


def extend(
    facts: Mapping[str, Any], files: Sequence[WorldFile], rng: random.Random
) -> tuple[dict[str, Any], list[WorldFile]]:
    """Add the mirror.

    Args:
        facts: What the setting knows so far.
        files: The world so far.
        rng: This variant's source of chance.

    Returns:
        The facts `damaged` (its `wheel`, the wrong `member` in it, `sha256_before`, and the right
        `contents` by member, without RECORD) and `originals` (digest by path of what stays as it
        is); and the files.
    """
    names = facts["names"]
    root, bug = names["mirror_root"], names["bug"]
    when = int(datetime(2026, 4, 1, tzinfo=UTC).timestamp()) + rng.randrange(3_000_000)
    bad, outdated = rng.sample(SLOTS, 2)
    wheels, lock, damaged = {}, [], {}
    for slot in SLOTS:
        project, version = names[slot], names[f"{slot}_v"]
        python = ">=3.10" if slot == bad else rng.choice(_PYTHONS)
        contents = _contents(project, version, python, rng)
        info = f"{project}-{version}.dist-info"
        name = names[f"{slot}_wheel"]
        lock.append(
            {
                "file": name,
                "name": project,
                "version": version,
                "requires_python": python,
                "tag": "py3-none-any",
                "modules": {
                    path: hashlib.sha256(text.encode()).hexdigest()
                    for path, text in contents.items()
                    if not path.startswith(info)
                },
            }
        )
        found, record, member = dict(contents), "", f"{info}/RECORD"
        if slot == bad:
            found, record, member = _damage(bug, contents, info, rng)
        wheels[slot] = _wheel(found, record or _record(found, info), info, when)
        if slot == bad:
            damaged = {
                "wheel": name,
                "member": member,
                "info": info,
                "sha256_before": hashlib.sha256(wheels[slot]).hexdigest(),
                "contents": contents,
            }
    document = json.dumps({"format": 1, "packages": lock}, indent=2) + "\n"
    made = [WorldFile(f"{root}/mirror.lock.json", document.encode(), 0o644, when)]
    for number, slot in enumerate(SLOTS):
        digest = hashlib.sha256(wheels[slot]).hexdigest()
        if slot == outdated:
            digest = f"{rng.getrandbits(256):064x}"
        python = lock[number]["requires_python"]
        page = _page(names[slot], names[f"{slot}_wheel"], digest, str(python))
        made += [
            WorldFile(f"{root}/packages/{names[f'{slot}_wheel']}", wheels[slot], 0o644, when),
            WorldFile(f"{root}/simple/{names[slot]}/index.html", page.encode(), 0o644, when + 60),
        ]
    links = "".join(f'<a href="{one}/">{one}</a><br/>\n' for one in sorted(names[s] for s in SLOTS))
    page = _PAGE.format(title="Simple index", links=links)
    made.append(WorldFile(f"{root}/simple/index.html", page.encode(), 0o644, when + 60))
    kept = [
        file
        for file in (*files, *made)
        if file.path.endswith((".whl", "mirror.lock.json", "rebuild-index"))
        and not file.path.endswith(f"/{damaged['wheel']}")
    ]
    originals = {file.path: hashlib.sha256(file.data).hexdigest() for file in kept}
    return {"damaged": damaged, "originals": originals}, made


def _contents(project: str, version: str, python: str, rng: random.Random) -> dict[str, str]:
    """The members of a sound wheel, without its RECORD."""
    info = f"{project}-{version}.dist-info"
    table = "".join(f"    {rng.getrandbits(32):#010x},\n" for _ in range(rng.randint(40, 160)))
    return {
        f"{project}/__init__.py": f'"""{project}."""\n\nfrom .core import lookup\n\n'
        f'__all__ = ["lookup"]\n__version__ = "{version}"\n',
        f"{project}/core.py": f"_TABLE = (\n{table})\n\n\ndef lookup(key):\n"
        "    return _TABLE[hash(key) % len(_TABLE)]\n",
        f"{project}/errors.py": f"class {project.title()}Error(Exception):\n    pass\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n"
        f"Summary: {rng.choice(('Small', 'Fast', 'Plain', 'Typed'))} helpers\n"
        f"Requires-Python: {python}\nLicense: MIT\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: repack 0.4\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
    }


def _damage(
    bug: str, contents: Mapping[str, str], info: str, rng: random.Random
) -> tuple[dict[str, str], str, str]:
    """The members of the damaged wheel, its RECORD where that is the fault, and the wrong one."""
    found = dict(contents)
    record = f"{info}/RECORD"
    module = rng.choice([path for path in contents if not path.startswith(info)])
    if bug == "stale_record":
        other = found | {module: contents[module] + "\n"}
        return found, _record(other, info), record
    if bug == "missing_record":
        lines = _record(found, info).splitlines(keepends=True)
        return found, "".join(x for x in lines if not x.startswith(f"{module},")), record
    member = f"{info}/{'WHEEL' if bug == 'wrong_tag' else 'METADATA'}"
    project, version = info.removesuffix(".dist-info").split("-")
    right, wrong = {
        "wrong_version": (f"Version: {version}\nS", f"Version: {version}.dev1\nS"),
        "wrong_python": ("Requires-Python: >=3.10", "Requires-Python: >=3.1"),
        "wrong_name": (f"Name: {project}", f"Name: {project}-repacked"),
        "wrong_tag": ("Tag: py3-", "Tag: py2-"),
    }[bug]
    found[member] = contents[member].replace(right, wrong)
    return found, "", member


def _record(contents: Mapping[str, str], info: str) -> str:
    lines = [
        f"{path},sha256={_base64(text)},{len(text.encode())}" for path, text in contents.items()
    ]
    return "".join(f"{line}\n" for line in (*lines, f"{info}/RECORD,,"))


def _base64(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _wheel(contents: Mapping[str, str], record: str, info: str, when: int) -> bytes:
    buffer = io.BytesIO()
    moment = datetime.fromtimestamp(when, UTC).timetuple()[:6]
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # compressors differ
        for path, text in {**contents, f"{info}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(path, moment), text)
    return buffer.getvalue()


def _page(project: str, wheel: str, digest: str, python: str) -> str:
    href = f"../../packages/{wheel}#sha256={digest}"
    link = f'<a href="{href}" data-requires-python="{escape(python)}">{wheel}</a><br/>\n'
    return _PAGE.format(title=f"Links for {project}", links=link)
