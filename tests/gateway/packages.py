"""A package for package indexes."""

import io
import zipfile

WHEEL = "tiny_tool-1.2-py3-none-any.whl"


def wheel() -> bytes:
    """A package that pip accepts; the same bytes every time."""
    meta = "tiny_tool-1.2.dist-info"
    files = {
        "tiny_tool.py": "ANSWER = 42\n",
        f"{meta}/METADATA": "Metadata-Version: 2.1\nName: tiny-tool\nVersion: 1.2\n",
        f"{meta}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{meta}/RECORD": "",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()
