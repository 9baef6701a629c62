"""Download one file: over https, resumed where it broke off, checked by its SHA-256, renamed in when whole."""

import contextlib
import http.client
import ipaddress
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from fireweed.errors import DownloadError
from fireweed.files import explained, sha256_of
from fireweed.text import readable

Progress = Callable[[int, int], None]

_CHUNK = 1 << 18
_TIMEOUT_SECONDS = 30.0
_LEAST_BYTES, _LEAST_SECONDS = 60_000, 60.0  # a server that sends fewer in that time is stalling
_ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 1.0
_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)


class _CutError(Exception):
    """The connection broke or the server was busy; trying again may help."""


class _StallError(_CutError):
    """The server sends next to nothing; what little came is no reason to try more often."""


@dataclass
class _Transfer:
    """What is being fetched; `validator` ties a resumed part to the very file that it was begun from."""

    url: str
    max_bytes: int
    progress: Progress | None
    validator: str = ""


def download(url: str, to: Path, sha256: str | None, max_bytes: int, progress: Progress | None = None) -> Path:
    """Download `url` to the file `to`, and return `to`.

    The bytes gather in `to` with ".part" added, which a later call goes on with when `sha256` can prove the whole;
    connections that break are taken up again a few times. `to` is the whole file or not there. A `to` that is there
    with the right sum (or any, for no sum) is taken as it is. `progress` gets (bytes so far, bytes in all or 0).

    Raises:
        DownloadError: not https (http for this machine's own addresses only), the server refuses or cannot be
            reached, more than `max_bytes`, or another SHA-256 than given; the part is then deleted.
        FireweedError: the disk is full or may not be written.
    """
    _check_address(url, came_from=url)
    if to.is_file() and (sha256 is None or sha256_of(to) == sha256):
        return to
    part = to.with_name(to.name + ".part")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        with _opened_alone(part) as file:
            if to.is_file() and (sha256 is None or sha256_of(to) == sha256):
                _start_over(file)
                return to  # another process fetched it while this one waited for the part
            if sha256 is None:
                file.truncate(0)  # nothing could tell whether an old part is of the same file
            if sha256 is None or sha256_of(part) != sha256:  # else only the renaming was missing
                _fetch(_Transfer(url, max_bytes, progress), file)
            file.flush()
            os.fsync(file.fileno())
            _close_for_windows(file)
            _check_sum(url, part, sha256)
            part.replace(to)
    except OSError as error:
        raise explained(error, to) from error
    return to


def _check_address(url: str, came_from: str) -> None:
    """Refuse any address but https, and http to this machine itself that was asked for as such."""
    try:
        scheme, origin = urlsplit(url).scheme, urlsplit(came_from)
    except ValueError as error:
        raise DownloadError(f"{readable(url)} is no address ({error})") from error
    if scheme == "https":
        return
    if scheme == "http" and _is_loopback(url) and origin.scheme == "http" and _is_loopback(came_from):
        return
    url, came_from = readable(url), readable(came_from)
    how = f"{came_from} leads to {url}, which" if url != came_from else url
    raise DownloadError(f"{how} is not https; photos and weights are fetched over https only")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(  # type: ignore[no-untyped-def]  # the signature is urllib's
        self, req, fp, code, msg, headers, newurl
    ) -> urllib.request.Request | None:
        _check_address(newurl, came_from=req.full_url)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextlib.contextmanager
def _opened_alone(part: Path) -> Iterator[IO[bytes]]:
    """Open the part to be read and written, waiting while another process has it; leave no empty one behind."""
    while True:
        with open(part, "ab+") as file:
            _lock(file)
            if not _is_at(file, part):
                continue  # the one who had it has renamed or deleted it meanwhile: it has another name now, or none
            try:
                yield file
            finally:
                if not file.closed and _is_at(file, part) and part.stat().st_size == 0:
                    _close_for_windows(file)
                    part.unlink()
            return


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _close_for_windows(file: IO[bytes]) -> None:
    if os.name == "nt":
        file.close()  # Windows renames and deletes no open file; elsewhere the lock is kept until that is done


def _lock(file: IO[bytes]) -> None:
    with contextlib.suppress(ImportError, OSError):  # Windows, and file systems without locks
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX)


def _fetch(transfer: _Transfer, file: IO[bytes]) -> None:
    attempts, pause = _ATTEMPTS, _FIRST_PAUSE_SECONDS
    while True:
        before = file.seek(0, os.SEEK_END)
        try:
            _fetch_the_rest(transfer, file)
            return
        except (_CutError, http.client.HTTPException) as error:
            if file.seek(0, os.SEEK_END) > before and not isinstance(error, _StallError):  # it does go on, if slowly
                attempts, pause = _ATTEMPTS, _FIRST_PAUSE_SECONDS
            attempts -= 1
            if not attempts:
                file.flush()
                raise DownloadError(
                    f"{transfer.url} broke off {_ATTEMPTS} times ({error or type(error).__name__}); what has come is "
                    "kept: give the same command again to go on"
                ) from error
            time.sleep(pause)
            pause *= 2


def _fetch_the_rest(transfer: _Transfer, file: IO[bytes]) -> None:
    have = file.seek(0, os.SEEK_END)
    if have > transfer.max_bytes:
        have = _start_over(file)
    try:
        with _opener(transfer.url).open(_request(transfer, have), timeout=_TIMEOUT_SECONDS) as response:
            if have and not _continues(response, have):
                have = _start_over(file)
            _copy(transfer, response, file, have)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:
            _start_over(file)  # longer than the file is now, or whole but wrong
            raise _CutError("the part did not fit the file") from error
        if error.code in _TEMPORARY:
            raise _CutError(f"the server answers {error.code} {error.reason}") from error
        raise DownloadError(
            f"{transfer.url} cannot be fetched: the server answers {error.code} {error.reason}"
        ) from error
    except ValueError as error:  # urllib's, of an address that the server made up
        raise DownloadError(f"{transfer.url} leads to what is no address ({readable(str(error))})") from error
    except (TimeoutError, ConnectionError) as error:  # after the connection was made, before the answer came
        raise _CutError(str(error) or type(error).__name__) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, (TimeoutError, ConnectionError)):
            raise _CutError(str(error.reason)) from error
        raise DownloadError(
            f"{transfer.url} cannot be reached: {getattr(error.reason, 'strerror', None) or error.reason}; check the "
            "network, or fetch it elsewhere and give the file"
        ) from error


def _opener(url: str) -> urllib.request.OpenerDirector:
    # A proxy from the environment is for the world outside, never for this machine.
    proxies = [urllib.request.ProxyHandler({})] if _is_loopback(url) else []
    return urllib.request.build_opener(_SafeRedirects, *proxies)


def _request(transfer: _Transfer, have: int) -> urllib.request.Request:
    headers = {"User-Agent": "fireweed", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if transfer.validator:
            headers["If-Range"] = transfer.validator
    return urllib.request.Request(transfer.url, headers=headers)


def _continues(response: http.client.HTTPResponse, have: int) -> bool:
    """Say whether the answer goes on at byte `have`; a server may ignore the range and send everything again."""
    return response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _start_over(file: IO[bytes]) -> int:
    file.truncate(0)
    return file.seek(0)


def _copy(transfer: _Transfer, response: http.client.HTTPResponse, file: IO[bytes], have: int) -> None:
    etag = response.headers.get("ETag", "")
    transfer.validator = "" if etag.startswith("W/") else etag
    length = response.headers.get("Content-Length", "")
    total = have + int(length) if re.fullmatch(r"[0-9]{1,18}", length) else 0
    began, before = time.monotonic(), have
    while True:
        if max(have, total) > transfer.max_bytes:
            _start_over(file)
            raise DownloadError(f"{transfer.url} is larger than the {transfer.max_bytes:,} bytes expected; not fetched")
        if transfer.progress is not None:
            transfer.progress(have, total)
        chunk = _next_chunk(response)
        if not chunk:
            break
        file.write(chunk)
        have += len(chunk)
        if time.monotonic() - began > _LEAST_SECONDS:
            if have - before < _LEAST_BYTES:
                raise _StallError(f"only {have - before:,} bytes came in {_LEAST_SECONDS:.0f} seconds")
            began, before = time.monotonic(), have
    if have < total:
        raise _CutError(f"the connection was cut after {have:,} of {total:,} bytes")


def _next_chunk(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(_CHUNK)  # what is there: `read` would wait for a whole chunk, however slowly it comes
    except OSError as error:  # told apart from the disk's errors, which trying again does not mend
        raise _CutError(str(error) or type(error).__name__) from error


def _check_sum(url: str, part: Path, sha256: str | None) -> None:
    found = sha256_of(part) if sha256 is not None else None
    if found != sha256:
        part.unlink()
        raise DownloadError(
            f"{url} is not the file that was expected: its SHA-256 is {found}, not {sha256}; it was deleted. "
            "Try again; if it stays so, the file has changed or something on the way alters it"
        )
