"""Stored objects as S3 and plain artifact stores know them: PUT, multipart, GET, HEAD, DELETE."""

import hashlib
from xml.sax.saxutils import escape

from sandbox.gateway.store import ENTRIES, Blob, Upload, joined
from sandbox.gateway.web import Answer, Handler, Plain, Request, Site, text

_XML = "application/xml"
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_PARTS = 10_000
_LISTED = 1000


def handler(site: Site, request: Request) -> Handler:
    """Whatever answers this request: an object operation, or a plain answer where it is none."""
    if request.method == "PUT" or (request.method == "POST" and _multipart(request)):
        return _Put(site, request)
    found = site.shelf.objects.get(_key(request))
    if request.method in ("GET", "HEAD") and found is not None:
        return _Ready(_content(site, found))
    if request.method == "DELETE":
        site.shelf.objects.pop(_key(request), None)
        site.shelf.uploads.pop(request.query.get("uploadId", ""), None)
        return _Ready(Answer(204, (), (), 0))
    if site.service == "store" and request.method in ("GET", "HEAD"):
        return _Ready(_listing(site, request) if request.path.endswith("/") else _missing(request))
    return Plain(request)


class _Ready:
    """An answer that needs no body."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def take(self, data: bytes) -> None:
        """Takes no notice; it is recorded elsewhere."""

    def answer(self) -> Answer:
        return self._answer


class _Put:
    """An object, a part of one, or the begin or end of a multipart upload."""

    def __init__(self, site: Site, request: Request) -> None:
        self._site = site
        self._request = request
        self._upload = Upload(site.shelf.store)

    def take(self, data: bytes) -> None:
        # The list of parts that ends an upload is not kept: the parts are joined in their order.
        if self._request.method == "PUT":
            self._upload.write(data)

    def answer(self) -> Answer:
        request, shelf = self._request, self._site.shelf
        if request.method == "POST" and "uploads" in request.query:
            return _initiated(self._site, request)
        upload = request.query.get("uploadId")
        if request.method == "POST":
            return _completed(self._site, request, shelf.uploads.pop(upload or "", {}))
        blob, number = self._upload.blob(), request.query.get("partNumber", "")
        etag = ("etag", f'"{self._upload.md5}"')
        if upload is not None and number.isdecimal() and len(number) <= 5:
            parts = shelf.uploads.get(upload)
            if blob is not None and parts is not None and len(parts) < _PARTS:
                parts[int(number)] = blob
            return Answer(200, (etag,), (), 0)
        if blob is not None:
            _keep(self._site, request, blob)
        status = self._site.manners.put_status
        if status == 204:
            return Answer(204, (etag,), (), 0)
        return text(status, "application/json", b'{"status":"ok"}\n', etag)


def _multipart(request: Request) -> bool:
    return "uploads" in request.query or "uploadId" in request.query


def _key(request: Request) -> tuple[str, str]:
    return (request.host or "").lower(), request.path


def _keep(site: Site, request: Request, blob: Blob) -> None:
    objects = site.shelf.objects
    if len(objects) < ENTRIES or _key(request) in objects:
        objects[_key(request)] = blob


def _content(site: Site, blob: Blob) -> Answer:
    headers = (("content-type", "application/octet-stream"), ("etag", f'"{blob.md5}"'))
    return Answer(200, headers, site.shelf.store.read(blob), blob.size)


def _initiated(site: Site, request: Request) -> Answer:
    uploads = site.shelf.uploads
    seed = f"{site.nonce} {len(uploads)} {site.clock()} {request.target}".encode("utf-8", "replace")
    upload = hashlib.sha256(seed).hexdigest()
    if len(uploads) < ENTRIES:
        uploads[upload] = {}
    return _xml("InitiateMultipartUploadResult", _names(request) + _tag("UploadId", upload))


def _completed(site: Site, request: Request, parts: dict[int, Blob]) -> Answer:
    ordered = [blob for _, blob in sorted(parts.items())]
    hashes = b"".join(bytes.fromhex(blob.md5) for blob in ordered)
    md5 = hashlib.md5(hashes, usedforsecurity=False).hexdigest()
    etag = f"{md5}-{len(ordered)}"
    if ordered:
        _keep(site, request, joined(ordered, etag))
    return _xml("CompleteMultipartUploadResult", _names(request) + _tag("ETag", f'"{etag}"'))


def _names(request: Request) -> str:
    bucket, _, key = request.path.lstrip("/").partition("/")
    return _tag("Bucket", bucket) + _tag("Key", key)


def _listing(site: Site, request: Request) -> Answer:
    host, folder = _key(request)
    found = sorted(
        (path, blob)
        for (at, path), blob in site.shelf.objects.items()
        if at == host and path.startswith(folder)
    )[:_LISTED]
    contents = "".join(
        f"<Contents>{_tag('Key', path.removeprefix(folder))}{_tag('Size', str(blob.size))}"
        f"{_tag('ETag', blob.md5)}</Contents>"
        for path, blob in found
    )
    return _xml("ListBucketResult", _tag("Name", folder.strip("/")) + contents)


def _missing(request: Request) -> Answer:
    body = _tag("Code", "NoSuchKey") + _tag("Key", request.path)
    return text(404, _XML, f"{_DECLARATION}<Error>{body}</Error>".encode("utf-8", "replace"))


def _xml(root: str, content: str) -> Answer:
    document = f'{_DECLARATION}<{root} xmlns="{_NAMESPACE}">{content}</{root}>'
    return text(200, _XML, document.encode("utf-8", "replace"))


def _tag(name: str, value: str) -> str:
    return f"<{name}>{escape(value)}</{name}>"
