"""A package index as PEP 503 describes it, serving the packages of the setting."""

import hashlib
import re
from collections.abc import Mapping
from html import escape
from urllib.parse import quote

from sandbox.gateway.web import Answer, Request, text


class Index:
    """Answers one request to the index. Uploads are accepted, recorded and not offered."""

    def __init__(self, packages: Mapping[str, bytes], request: Request) -> None:
        """Takes the files offered, by name."""
        self._packages = packages
        self._request = request

    def take(self, data: bytes) -> None:
        """Takes no notice; it is recorded elsewhere."""

    def answer(self) -> Answer:
        """The list of projects, the files of one, a file, or 404."""
        if self._request.method not in ("GET", "HEAD"):
            return text(200, "text/plain", b"OK\n")
        parts = self._request.path.strip("/").split("/")
        if parts[0] == "packages" and len(parts) == 2 and parts[1] in self._packages:
            return text(200, "application/octet-stream", self._packages[parts[1]])
        if parts[0] == "simple" and len(parts) == 1:
            names = sorted({project(name) for name in self._packages})
            return _page("Simple index", [(f"/simple/{name}/", name) for name in names])
        if parts[0] == "simple" and len(parts) == 2:
            name = normalised(parts[1])
            files = sorted(one for one in self._packages if project(one) == name)
            if files:
                return _page(f"Links for {name}", [(self._link(one), one) for one in files])
        return text(404, "text/plain", b"404 Not Found\n")

    def _link(self, name: str) -> str:
        digest = hashlib.sha256(self._packages[name]).hexdigest()
        return f"/packages/{quote(name)}#sha256={digest}"


def normalised(name: str) -> str:
    """A project's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def project(file: str) -> str:
    """The project a wheel or source archive belongs to."""
    if file.endswith(".whl"):
        return normalised(file.partition("-")[0])
    return normalised(re.sub(r"-[^-]*$", "", file))


def _page(title: str, links: list[tuple[str, str]]) -> Answer:
    lines = "".join(f'<a href="{escape(href)}">{escape(name)}</a><br/>\n' for href, name in links)
    page = f"<!DOCTYPE html>\n<html><head><title>{escape(title)}</title></head>\n<body>\n{lines}"
    return text(200, "text/html", f"{page}</body></html>\n".encode())
