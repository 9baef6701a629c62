"""A bucket of Google Cloud Storage on this machine, as far as whole objects are put, read, listed and removed."""

import base64
import hashlib
import json
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FakeBucket(ThreadingHTTPServer):
    """objects: what it holds, by bucket/name. refuses: whether it answers all that is asked for with 403."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.refuses = False


@contextmanager
def fake_bucket() -> Iterator[FakeBucket]:
    server = FakeBucket()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: FakeBucket

    def log_message(self, *_: object) -> None:
        return

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.refuses:
            return self._answer(403, {"error": {"code": 403, "message": "403 Forbidden"}})
        head, _, rest = body.partition(b"\n\n")[2].partition(b"\n--==0==")
        name = json.loads(head)["name"]
        data = rest.partition(b"\n\n")[2].removesuffix(b"\n--==0==--")
        bucket = urllib.parse.urlsplit(self.path).path.split("/")[5]
        self.server.objects[f"{bucket}/{name}"] = data
        return self._answer(200, _facts(bucket, name, data))

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        asked = dict(urllib.parse.parse_qsl(url.query))
        bucket, _, name = url.path.partition("/b/")[2].partition("/o")
        name = urllib.parse.unquote(name.removeprefix("/"))
        objects = self.server.objects
        if self.server.refuses:
            return self._answer(403, {"error": {"code": 403, "message": "403 Forbidden"}})
        if not name:
            found = [key.partition("/")[2] for key in objects if key.startswith(f"{bucket}/{asked.get('prefix', '')}")]
            items = [_facts(bucket, one, objects[f"{bucket}/{one}"]) for one in sorted(found)]
            return self._answer(200, {"kind": "storage#objects", "items": items})
        data = objects.get(f"{bucket}/{name}")
        if data is None:
            return self._answer(404, {"error": {"code": 404, "message": "No such object"}})
        return self._answer(200, data if asked.get("alt") == "media" else _facts(bucket, name, data))

    def do_DELETE(self) -> None:
        bucket, _, name = urllib.parse.urlsplit(self.path).path.partition("/b/")[2].partition("/o/")
        gone = self.server.objects.pop(f"{bucket}/{urllib.parse.unquote(name)}", None)
        self._answer(404 if gone is None else 204, b"")

    def _answer(self, code: int, content: dict | bytes) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        self.send_header(
            "Content-Type", "application/octet-stream" if isinstance(content, bytes) else "application/json"
        )
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _facts(bucket: str, name: str, data: bytes) -> dict[str, str]:
    return {
        "kind": "storage#object", "bucket": bucket, "name": name, "size": str(len(data)), "generation": "1",
        "md5Hash": base64.b64encode(hashlib.md5(data).digest()).decode(), "contentType": "application/octet-stream",
    }  # fmt: skip
