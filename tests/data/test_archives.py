import gzip
import io
import lzma
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
import zlib

import pytest

from fireweed.data.archives import Limits, unpack
from fireweed.errors import DataError, FireweedError


def make_zip(path, entries):
    """Write a zip of (name or ZipInfo, bytes)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries:
            file.writestr(name, data)
    return path


def make_tar(path, entries, mode="w:gz"):
    """Write a tar of (name or TarInfo, bytes)."""
    with tarfile.open(path, mode) as file:
        for name, data in entries:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    return path


def special(name, kind, target=""):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


GOOD = [("photos/a/1.jpg", b"one"), ("photos/b/2.jpg", b"two" * 1000), ("./photos/b/é 3.jpg", b"")]


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"])
def test_archive_is_unpacked_whole(tmp_path, kind):
    archive = tmp_path / f"x.{kind}"
    mode = {"tar": "w", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}.get(kind, "w:gz")
    if kind == "zip":
        make_zip(archive, GOOD)
    else:
        make_tar(archive, GOOD, mode)
    seen = []
    into = unpack(archive, tmp_path / "cache" / "x", progress=lambda done, total: seen.append((done, total)))
    assert (into / "photos/a/1.jpg").read_bytes() == b"one"
    assert (into / "photos/b/2.jpg").read_bytes() == b"two" * 1000
    assert (into / "photos/b/é 3.jpg").read_bytes() == b""
    assert tree(tmp_path / "cache") == sorted(["x", *(f"x/{name}" for name in tree(into))])
    assert len(seen) == 3 and all(done <= total == archive.stat().st_size for done, total in seen)


def test_folder_that_is_there_already_is_taken_as_it_is(tmp_path):
    archive = make_zip(tmp_path / "x.zip", GOOD)
    into = unpack(archive, tmp_path / "x")
    (into / "photos/a/1.jpg").write_bytes(b"mine")
    unpack(archive, into)
    assert (into / "photos/a/1.jpg").read_bytes() == b"mine"


def refused(archive, tmp_path, named, limits=Limits()):
    """Check that `archive` is refused with `named` in one line, and that nothing but the archive is left."""
    place = tmp_path / "place"
    place.mkdir(exist_ok=True)
    before = tree(tmp_path)
    with pytest.raises(DataError) as caught:
        unpack(archive, place / "x", limits)
    assert tree(tmp_path) == before
    message = str(caught.value)
    assert "\n" not in message and archive.name in message
    assert named in message, message
    return message


@pytest.mark.parametrize(
    "name", ["../evil.jpg", "a/../../evil.jpg", "..\\evil.jpg", "/tmp/evil.jpg", "C:\\evil.jpg", "C:evil"]
)
def test_entry_outside_is_refused(tmp_path, name):
    entries = [("a/1.jpg", b"1"), ("b/1.jpg", b"1"), (name, b"evil")]
    for archive in (make_zip(tmp_path / "x.zip", entries), make_tar(tmp_path / "x.tgz", entries)):
        refused(archive, tmp_path, f"'{name}'")


@pytest.mark.parametrize("target", ["../../outside", "1.jpg", "/etc/passwd"])
def test_links_are_refused(tmp_path, target):
    linked = zipfile.ZipInfo("a/link.jpg")
    linked.create_system, linked.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    refused(make_zip(tmp_path / "x.zip", [("a/1.jpg", b"1"), (linked, target)]), tmp_path, "'a/link.jpg' is a link")
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        archive = make_tar(tmp_path / "x.tar", [("a/1.jpg", b"1"), (special("a/link.jpg", kind, target), b"")], "w")
        refused(archive, tmp_path, "'a/link.jpg' is a link")


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_are_refused(tmp_path, kind):
    archive = make_tar(tmp_path / "x.tar", [(special("a/thing.jpg", kind), b"")], "w")
    refused(archive, tmp_path, "'a/thing.jpg' is a device, a pipe")
    pipe = zipfile.ZipInfo("a/pipe.jpg")
    pipe.create_system, pipe.external_attr = 3, (stat.S_IFIFO | 0o600) << 16
    refused(make_zip(tmp_path / "x.zip", [(pipe, b"")]), tmp_path, "'a/pipe.jpg' is a device or pipe")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a/1.jpg", "a/1.jpg"),
        ("a/1.jpg", "a/1.JPG"),
        ("Rose/1.jpg", "rose/2.jpg"),
        ("a/é.jpg", "a/e\u0301.jpg"),
        ("a", "a/1.jpg"),
        ("a/1.jpg", "a"),
        ("a/1.jpg", "a//./1.jpg"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_some_file_system_takes_for_one_are_refused(tmp_path, first, second):
    entries = [(first, b"1"), (second, b"2")]
    for archive in (make_zip(tmp_path / "x.zip", entries), make_tar(tmp_path / "x.tgz", entries)):
        refused(archive, tmp_path, f"entry '{second}'")


def test_name_too_long_for_the_disk_is_refused_by_name(tmp_path):
    refused(make_zip(tmp_path / "x.zip", [("a/" + "n" * 300, b"1")]), tmp_path, "nnn' cannot be written under its name")


def test_limits_on_number_and_bytes(tmp_path):
    archive = make_zip(tmp_path / "x.zip", [(f"a/{i}.jpg", bytes(1000)) for i in range(5)])
    refused(archive, tmp_path, "'a/4.jpg' is one more than the 4", Limits(members=4))
    refused(archive, tmp_path, "'a/0.jpg' says it has 1,000 bytes, more than 999", Limits(member_bytes=999))
    refused(archive, tmp_path, "'a/2.jpg' brings the unpacked bytes above 2,500", Limits(total_bytes=2500))
    unpack(archive, tmp_path / "x", Limits(members=5, member_bytes=1000, total_bytes=5000))


BOMB = """
import re, resource, sys, time
from pathlib import Path
from fireweed.data.archives import unpack
from fireweed.errors import DataError
for name in sys.argv[1:]:
    start = time.monotonic()
    try:
        unpack(Path(name), Path(name + ".out"))
    except DataError as error:
        assert "zeros" in str(error), error
        assert time.monotonic() - start < 10
        print("refused")
peak_kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if Path("/proc/self/status").exists():  # there the figure above begins with that of the process that started this one
    peak_kilobytes = int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
assert peak_kilobytes < 300_000, peak_kilobytes
"""


def test_gigabyte_of_zeros_is_refused_in_little_memory_and_time(tmp_path):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    megabyte = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)  # can be repeated as it is
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w") as file:
        file.writestr("a/1.jpg", b"1")
        file.writestr("zeros.jpg", megabyte * 1024 + packer.flush())
        info = file.infolist()[1]
        info.compress_type, info.file_size = zipfile.ZIP_DEFLATED, 1 << 30
    header = tarfile.TarInfo("zeros.jpg")
    header.size = 1 << 30
    long_header = special("zeros.jpg", tarfile.XHDTYPE)  # tarfile would hold such a header in memory
    long_header.size = 1 << 30
    folder = special("zeros/", tarfile.DIRTYPE)
    for name, start in (("bomb.tar.gz", header), ("header.tar.gz", long_header)):
        packed = gzip.compress(folder.tobuf() + start.tobuf()) + gzip.compress(bytes(1 << 20)) * 1024
        (tmp_path / name).write_bytes(packed)
    names = [str(tmp_path / name) for name in ("bomb.zip", "bomb.tar.gz", "header.tar.gz")]
    done = subprocess.run([sys.executable, "-c", BOMB, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["refused"] * 3
    assert tree(tmp_path) == ["bomb.tar.gz", "bomb.zip", "header.tar.gz"]


def test_size_that_an_entry_lies_about_is_counted_as_it_comes(tmp_path):
    archive = make_tar(tmp_path / "x.tgz", [("a/1.jpg", b"1"), ("a/zeros.jpg", bytes(3 << 20))])
    refused(archive, tmp_path, "'a/zeros.jpg' brings", Limits(grace_bytes=1 << 20, ratio=10))


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz", "txz", "tbz2"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_archive_cut_off_is_refused(tmp_path, kind, share):
    entries = [(f"a/{i}.jpg", os.urandom(700)) for i in range(40)]
    archive = tmp_path / f"x.{kind}"
    mode = {"tar": "w", "tgz": "w:gz", "txz": "w:xz", "tbz2": "w:bz2"}.get(kind)
    if mode is None:
        make_zip(archive, entries)
    else:
        make_tar(archive, entries, mode)
    data = archive.read_bytes().rstrip(b"\0") if kind == "tar" else archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * share)])
    refused(archive, tmp_path, "damaged")


def test_damaged_pixels_and_a_broken_header_are_refused(tmp_path):
    archive = make_zip(tmp_path / "x.zip", [("a/1.jpg", os.urandom(5000))])
    data = bytearray(archive.read_bytes())
    data[1000] ^= 0xFF
    archive.write_bytes(data)
    refused(archive, tmp_path, "at entry 'a/1.jpg'")
    archive = make_tar(tmp_path / "x.tar", [("a/1.jpg", bytes(512)), ("a/2.jpg", bytes(512))], "w")
    data = bytearray(archive.read_bytes())
    data[1024:1124] = b"\xff" * 100  # the second header, which tarfile alone would take for the end
    archive.write_bytes(data)
    refused(archive, tmp_path, "damaged")


def test_encrypted_zip_says_so(tmp_path):
    archive = make_zip(tmp_path / "x.zip", [("a/1.jpg", b"12345")])
    data = bytearray(archive.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    refused(archive, tmp_path, "'a/1.jpg' is encrypted")


def test_names_that_a_mac_wrote_as_utf8_without_saying_so(tmp_path):
    archive = make_zip(tmp_path / "x.zip", [("Gänse/1.jpg", b"1")])
    data = bytearray(archive.read_bytes())
    data[7] &= ~0x08
    data[data.index(b"PK\x01\x02") + 9] &= ~0x08
    archive.write_bytes(data)
    assert (unpack(archive, tmp_path / "x") / "Gänse" / "1.jpg").exists()


def test_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    import errno

    from fireweed.data import archives

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    archive = make_zip(tmp_path / "x.zip", GOOD)
    monkeypatch.setattr(archives, "_write", full)
    with pytest.raises(FireweedError, match="disk full"):
        unpack(archive, tmp_path / "x")
    assert tree(tmp_path) == ["x.zip"]


def test_xz_of_several_streams_with_zeros_between_is_one_archive(tmp_path):
    data = make_tar(tmp_path / "x.tar", GOOD, "w").read_bytes()
    (tmp_path / "x.tar.xz").write_bytes(lzma.compress(data[:700]) + bytes(8) + lzma.compress(data[700:]))
    assert (unpack(tmp_path / "x.tar.xz", tmp_path / "x") / "photos/b/2.jpg").read_bytes() == b"two" * 1000


def test_entries_are_counted_against_the_archives_size_and_paths_have_bounds(tmp_path):
    archive = make_tar(tmp_path / "x.tgz", [(f"a/{i}.jpg", b"") for i in range(50)])
    refused(archive, tmp_path, "may hold", Limits(grace_members=10))
    refused(archive, tmp_path, "folder more than", Limits(folders=0))
    refused(make_zip(tmp_path / "x.zip", [("a/b/c/d.jpg", b"")]), tmp_path, "folders deep", Limits(depth=3))
    refused(
        make_zip(tmp_path / "x.zip", [("é" * 30, b"")]), tmp_path, "path of more than 40 bytes", Limits(name_bytes=40)
    )
