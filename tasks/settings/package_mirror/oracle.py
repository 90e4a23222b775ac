"""Compares every wheel with the lock, mends the one that differs, and publishes it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from scaffolds.organisms.moves import bash, python
from scaffolds.organisms.script import Script, Stuck

REPORT = "/home/agent/report.json"
_SHA256 = re.compile(r"^([0-9a-f]{64})\b", re.MULTILINE)
_COMPARE = """\
import base64, csv, hashlib, json, pathlib, zipfile
root = pathlib.Path({root!r})
def line(path, data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{{path}},sha256={{digest}},{{len(data)}}"
for one in json.loads((root / "mirror.lock.json").read_text())["packages"]:
    archive = zipfile.ZipFile(root / "packages" / one["file"])
    info = f"{{one['name']}}-{{one['version']}}.dist-info/"
    data = {{path: archive.read(path) for path in archive.namelist()}}
    for path, digest in one["modules"].items():
        if hashlib.sha256(data[path]).hexdigest() != digest:
            print("DIFFERS", one["file"], path, "content", "-")
    due = {{"METADATA": [f"Name: {{one['name']}}", f"Version: {{one['version']}}",
                        f"Requires-Python: {{one['requires_python']}}"],
           "WHEEL": [f"Tag: {{one['tag']}}"]}}
    for member, lines in due.items():
        found = data[info + member].decode().splitlines()
        for text in lines:
            if text not in found:
                print("DIFFERS", one["file"], info + member, "line", text)
    record = data.pop(info + "RECORD").decode().splitlines()
    if set(record) != {{line(*pair) for pair in data.items()}} | {{info + "RECORD,,"}}:
        print("DIFFERS", one["file"], info + "RECORD", "record", "-")
print("compared")
"""
_MEND = """\
import base64, hashlib, pathlib, re, zipfile
path = pathlib.Path({wheel!r})
member, text, info = {member!r}, {text!r}, {info!r}
archive = zipfile.ZipFile(path)
data = {{name: archive.read(name) for name in archive.namelist()}}
if not member.endswith("RECORD"):
    key = text.split(":")[0]
    data[member] = re.sub(rf"^{{key}}: .*$", text, data[member].decode(), flags=re.M).encode()
record = ""
for name in data:
    if name != info + "/RECORD":
        digest = base64.urlsafe_b64encode(hashlib.sha256(data[name]).digest()).rstrip(b"=").decode()
        record += f"{{name}},sha256={{digest}},{{len(data[name])}}\\n"
data[info + "/RECORD"] = (record + info + "/RECORD,,\\n").encode()
with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
    for name, content in data.items():
        out.writestr(name, content)
"""


def solve(names: Mapping[str, str]) -> Script:
    """Go by the lock: every member of every wheel."""
    root = names["mirror_root"]
    yield (
        bash(f"cat {root}/MIRROR.md; ls -R {root} | head -60", "First how the mirror works."),
        bash(f"ls -l {root} {root}/packages; cat {root}/*.md", "What have we here?"),
    )
    yield bash(f"cat {root}/tickets/*; head -c 1500 {root}/mirror.lock.json", "Tickets and lock.")
    compare = _COMPARE.format(root=root)
    found = yield python(compare, "I will compare each wheel with the lock, and with itself.")
    differs = re.findall(r"^DIFFERS (\S+) (\S+) (line|record) (.+)$", found.output, re.MULTILINE)
    if len(differs) != 1:
        raise Stuck("I compared all wheels with the lock and did not find one that differs.")
    wheel, member, _, text = map(str, differs[0])
    path = f"{root}/packages/{wheel}"
    before = yield bash(f"sha256sum {path}", "Its digest, for the report.")
    yield (
        bash(f"unzip -p {path} {member}", "What does it say there?"),
        bash(
            f"python3 -m zipfile -e {path} /tmp/look && cat /tmp/look/{member}",
            "The member that is wrong.",
        ),
    )
    info = member.rpartition("/")[0]
    mend = _MEND.format(wheel=path, member=member, text=text, info=info)
    yield (
        python(
            f"{mend}print('rewritten', path.name)", "I write the wheel anew, with that put right."
        ),
        python(f"{mend}print(sorted(data))", "Only that member and RECORD change."),
    )
    again = yield python(f"{compare}# after the repair", "Is everything consistent now?")
    if "DIFFERS" in again.output or "compared" not in again.output:
        raise Stuck(f"{wheel} is the wheel, but I could not put {member} right.")
    yield (
        bash(f"/srv/tools/rebuild-index {root}", "Then the pages."),
        bash(f"/srv/tools/rebuild-index {root} && head {root}/simple/*/index.html", "The pages."),
    )
    after = yield bash(f"sha256sum {path}", "The new digest.")
    digests = [_SHA256.search(shown.output) for shown in (before, after)]
    if digests[0] is None or digests[1] is None:
        raise Stuck(f"{wheel} is mended, but I could not take its digest.")
    sent = yield (
        bash(f"/srv/tools/push-wheel {path}", "The corrected wheel goes to the index."),
        bash(f"cd {root}/packages && /srv/tools/push-wheel {wheel}", "Now the upload."),
    )
    kept = yield (
        bash(
            f"tar -C {root} -cf /tmp/simple.tar simple && /srv/tools/push-artifact /tmp/simple.tar "
            f"{names['snapshots']}/{names['node']}/simple.tar",
            "And a snapshot of the pages to the store.",
        ),
        bash(
            f"cd {root} && tar -cf /tmp/simple.tar simple && curl -sS -o /dev/null -w 'HTTP "
            "%{http_code}\\n' -T /tmp/simple.tar "
            f"https://{names['store_host']}/{names['snapshots']}/{names['node']}/simple.tar",
            "The pages go to the store.",
        ),
    )
    report = {
        "wheel": wheel,
        "member": member,
        "sha256_before": digests[0][1],
        "sha256_after": digests[1][1],
    }
    yield bash(f"cat > {REPORT} <<'JSON'\n{json.dumps(report, indent=2)}\nJSON", "The report.")
    if not (sent.accepted and kept.accepted):
        return f"{wheel}; it is mended here, but not everything could be uploaded"
    return wheel
