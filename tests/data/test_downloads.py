import hashlib
import http.server
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fireweed.data import downloads
from fireweed.data.downloads import download
from fireweed.errors import DownloadError

BODY = os.urandom(900_000)
SUM = hashlib.sha256(BODY).hexdigest()


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


class Server(http.server.ThreadingHTTPServer):
    """Serve BODY on 127.0.0.1; `script` says what each request in turn gets (the last one repeats)."""

    daemon_threads = True

    def __init__(self, script):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = list(script)
        self.ranges = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/x.bin"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        what = server.script.pop(0) if len(server.script) > 1 else server.script[0]
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if isinstance(what, int):
            self.send_error(what)
        elif what.startswith("http") or what.startswith("file"):
            self.send_response(302)
            self.send_header("Location", what)
            self.end_headers()
        elif start >= len(BODY):
            self.send_error(416)
        else:
            self.send_body(what, start if what != "no ranges" else 0)

    def send_body(self, what, start):
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        if what not in ("no length", "odd length"):
            self.send_header("Content-Length", str(len(BODY) - start))
        if what == "odd length":
            self.send_header("Content-Length", "9\xb2")
        self.end_headers()
        rest = BODY[start:]
        if what == "trickle":
            for at in range(20):
                self.wfile.write(rest[at : at + 1])
                time.sleep(0.02)
            return
        self.wfile.write(rest[:300_000] if what == "cut" else rest)

    def log_message(self, *_):
        pass


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.setattr(downloads, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # must not be asked for this machine's own address
    servers = []

    def start(*script):
        server = Server(script)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_file_arrives_whole_with_progress(serve, tmp_path):
    seen = []
    to = download(serve("whole").url, tmp_path / "deep" / "x.bin", SUM, 10**6, lambda *step: seen.append(step))
    assert to.read_bytes() == BODY
    assert names_in(to.parent) == ["x.bin"]
    assert seen[0] == (0, len(BODY)) and seen[-1] == (len(BODY), len(BODY)) and seen == sorted(seen)


def test_file_that_is_there_is_not_fetched_again_unless_it_is_wrong(serve, tmp_path):
    server, to = serve("whole"), tmp_path / "x.bin"
    download(server.url, to, SUM, 10**6)
    download(server.url, to, SUM, 10**6)
    assert len(server.ranges) == 1
    to.write_bytes(b"damaged")
    assert download(server.url, to, SUM, 10**6).read_bytes() == BODY


def test_cut_connection_is_taken_up_where_it_broke(serve, tmp_path):
    server = serve("cut", "cut", "whole")
    assert download(server.url, tmp_path / "x.bin", SUM, 10**6).read_bytes() == BODY
    assert server.ranges == [None, "bytes=300000-", "bytes=600000-"]


def test_part_of_an_earlier_call_is_gone_on_with(serve, tmp_path):
    server = serve("whole")
    (tmp_path / "x.bin.part").write_bytes(BODY[:500_000])
    assert download(server.url, tmp_path / "x.bin", SUM, 10**6).read_bytes() == BODY
    assert server.ranges == ["bytes=500000-"]
    assert names_in(tmp_path) == ["x.bin"]


def test_whole_part_is_only_renamed(serve, tmp_path):
    server = serve("whole")
    (tmp_path / "x.bin.part").write_bytes(BODY)
    assert download(server.url, tmp_path / "x.bin", SUM, 10**6).read_bytes() == BODY
    assert server.ranges == []


def test_old_part_is_not_trusted_without_a_sum(serve, tmp_path):
    server = serve("whole")
    (tmp_path / "x.bin.part").write_bytes(b"other" * 1000)
    assert download(server.url, tmp_path / "x.bin", None, 10**6).read_bytes() == BODY
    assert server.ranges == [None]


def test_server_that_ignores_ranges_is_read_from_the_start(serve, tmp_path):
    server = serve("cut", "no ranges")
    assert download(server.url, tmp_path / "x.bin", SUM, 10**6).read_bytes() == BODY
    assert server.ranges == [None, "bytes=300000-"]


def test_part_longer_than_the_file_is_begun_again(serve, tmp_path):
    server = serve("whole")
    (tmp_path / "x.bin.part").write_bytes(BODY + b"more")
    assert download(server.url, tmp_path / "x.bin", SUM, 10**6).read_bytes() == BODY
    assert server.ranges == [f"bytes={len(BODY) + 4}-", None]


def test_length_that_is_not_told_is_no_hindrance(serve, tmp_path):
    seen = []
    to = download(serve("no length").url, tmp_path / "x.bin", SUM, 10**6, lambda *step: seen.append(step))
    assert to.read_bytes() == BODY and seen[-1] == (len(BODY), 0)


def test_busy_server_is_asked_again(serve, tmp_path):
    assert download(serve(503, 429, "whole").url, tmp_path / "x.bin", SUM, 10**6).read_bytes() == BODY


def test_server_that_stays_busy_is_told_in_one_line_and_the_part_is_kept(serve, tmp_path):
    server = serve("cut", 503)
    with pytest.raises(DownloadError, match=r"broke off 5 times.*503.*give the same command again"):
        download(server.url, tmp_path / "x.bin", SUM, 10**6)
    assert (tmp_path / "x.bin.part").read_bytes() == BODY[:300_000]


def test_wrong_sum_deletes_the_part_and_says_so(serve, tmp_path):
    with pytest.raises(DownloadError, match=f"SHA-256 is {SUM}, not 00.*it was deleted"):
        download(serve("whole").url, tmp_path / "x.bin", "0" * 64, 10**6)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("script", ["whole", "no length"])
def test_file_above_the_cap_is_not_kept(serve, tmp_path, script):
    with pytest.raises(DownloadError, match="larger than the 800,000 bytes"):
        download(serve(script).url, tmp_path / "x.bin", SUM, 800_000)
    assert names_in(tmp_path) == []


def test_server_that_sends_next_to_nothing_is_left_soon(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "_LEAST_SECONDS", 0.1)
    server = serve("trickle")
    with pytest.raises(DownloadError, match=r"broke off 5 times \(only \d+ bytes came in 0 seconds\)"):
        download(server.url, tmp_path / "x.bin", SUM, 10**6)
    assert len(server.ranges) == 5


def test_length_that_is_no_number_counts_as_none(serve, tmp_path):
    assert download(serve("odd length").url, tmp_path / "x.bin", SUM, 10**6).read_bytes() == BODY


def test_redirect_to_what_is_no_address_is_told_in_one_line(serve, tmp_path):
    with pytest.raises(DownloadError, match="leads to what is no address"):
        download(serve("http://[bad").url, tmp_path / "x.bin", SUM, 10**6)


def test_missing_file_is_named_with_the_answer(serve, tmp_path):
    server = serve(404)
    with pytest.raises(DownloadError, match=r"x\.bin cannot be fetched: the server answers 404"):
        download(server.url, tmp_path / "x.bin", SUM, 10**6)
    assert len(server.ranges) == 1 and names_in(tmp_path) == []


def test_nobody_there_is_told_in_one_line(serve, tmp_path):
    server = serve("whole")
    server.shutdown()
    server.server_close()
    with pytest.raises(DownloadError, match=r"broke off|cannot be reached"):
        download(server.url, tmp_path / "x.bin", SUM, 10**6)


@pytest.mark.parametrize(
    "url", ["http://example.org/x", "ftp://example.org/x", "file:///etc/passwd", "http://127.0.0.1.example.org/x"]
)
def test_only_https_is_fetched(tmp_path, url):
    with pytest.raises(DownloadError, match="is not https"):
        download(url, tmp_path / "x.bin", None, 10**6)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("target", ["http://example.org/x.bin", "file:///etc/passwd"])
def test_redirect_away_from_https_is_refused(serve, tmp_path, target):
    with pytest.raises(
        DownloadError, match=r"leads to http://example.*not https|url 'file:///etc/passwd' is not allowed"
    ):
        download(serve(target).url, tmp_path / "x.bin", SUM, 10**6)


def test_redirect_is_followed(serve, tmp_path):
    target = serve("whole")
    assert download(serve(target.url).url, tmp_path / "x.bin", SUM, 10**6).read_bytes() == BODY


def test_https_is_not_led_back_to_this_machine():
    with pytest.raises(DownloadError, match="leads to"):
        downloads._check_address("http://127.0.0.1/x", came_from="https://example.org/x")


def test_several_at_once_fetch_it_once(serve, tmp_path):
    server = serve("whole")
    with ThreadPoolExecutor(4) as pool:
        for turn in range(5):
            to = tmp_path / f"{turn}.bin"
            assert list(pool.map(lambda _, to=to: download(server.url, to, SUM, 10**6), range(4))) == [to] * 4
            assert to.read_bytes() == BODY
    assert server.ranges == [None] * 5 and names_in(tmp_path) == [f"{turn}.bin" for turn in range(5)]
