"""Archives that mean harm, or are merely broken: nothing of them arrives, inside the destination or out of it."""

from __future__ import annotations

import gzip
import os
import tarfile
from pathlib import Path

import pytest

from algo_core.errors import ExitCode

SPECIFICATION = "36fd467e-fbfe-4ea6-aa66-df3f403b7132"
MIB = 1 << 20


@pytest.fixture
def check_refused(home, environments, tmp_path):
    """Serves an archive and checks that it is refused, leaving no trace; what was said."""
    (tmp_path / "work").mkdir()
    (tmp_path / "victim").write_bytes(b"untouched")

    def check(archive: bytes, destination: str = "dest") -> str:
        environments.template(archive)
        before = sorted(str(path) for path in tmp_path.rglob("*") if "home" not in path.parts)
        done = home.run("template", SPECIFICATION, destination, "--force", cwd=tmp_path / "work")
        assert (done.code, done.stdout) == (ExitCode.PLATFORM, b""), done.stderr
        assert "Traceback" not in done.stderr
        assert sorted(str(path) for path in tmp_path.rglob("*") if "home" not in path.parts) == before
        assert (tmp_path / "victim").read_bytes() == b"untouched"
        return str(done.stderr)

    return check


@pytest.mark.parametrize(
    "name",
    [
        "../victim",
        "a/../../victim",
        "src/..",
        "..",
        "./../victim",
        "/etc/algo-victim",
        "//tmp/algo-victim",
        "{root}/victim",
    ],
)
def test_paths_that_lead_outside(check_refused, archives, tmp_path, name) -> None:
    good = archives.entry("good", b"1")
    assert "not safe" in check_refused(archives.packed(good, archives.entry(name.format(root=tmp_path), b"evil")))
    assert not Path("/etc/algo-victim").exists()
    assert not Path("/tmp/algo-victim").exists()


@pytest.mark.parametrize("name", ["../outside", "/tmp/algo-outside"])
def test_directories_outside(check_refused, archives, name) -> None:
    assert "not safe" in check_refused(archives.packed(archives.directory(name), archives.entry("good", b"1")))
    assert not Path("/tmp/algo-outside").exists()


@pytest.mark.parametrize("target", ["../victim", "/etc/passwd", "good", "."])
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links(check_refused, archives, kind, target) -> None:
    link = archives.entry("link", type=kind, linkname=target)
    said = check_refused(archives.packed(archives.entry("good", b"1"), link, archives.entry("link/x", b"evil")))
    assert "'link' is neither a file nor a directory" in said


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"V", b"M"])
def test_devices_pipes_and_the_unknown(check_refused, archives, kind) -> None:
    odd = archives.entry("odd", type=kind, devmajor=1, devminor=3)
    stderr = check_refused(archives.packed(archives.entry("good", b"1"), odd))
    assert "neither a file nor a directory" in stderr


def test_a_bomb_is_noticed_before_it_fills_the_disk(check_refused, archives) -> None:
    info = tarfile.TarInfo("zeros")
    info.size = 3 << 30
    plain = info.tobuf() + bytes(MIB)
    assert "more than 128 MiB" in check_refused(gzip.compress(plain))


def test_a_bomb_of_many_files(check_refused, archives) -> None:
    part = archives.entry("x", bytes(40 * MIB))[0]
    plain = b""
    for n in range(4):
        part.name = f"zeros{n}"
        plain += part.tobuf() + bytes(40 * MIB)
    assert "more than 128 MiB" in check_refused(gzip.compress(plain, 1))


def test_a_bomb_in_a_header(check_refused) -> None:
    """A long name that goes on for ever would be read into memory as a whole."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    assert "more than 128 MiB" in check_refused(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(150 * MIB), 1))


def test_a_bomb_behind_the_end(check_refused, archives) -> None:
    plain = archives.packed(archives.entry("good", b"1"), gzipped=False)
    assert "more than 128 MiB" in check_refused(gzip.compress(plain + bytes(150 * MIB), 1))


def test_a_sparse_bomb(check_refused) -> None:
    info = tarfile.TarInfo("sparse")
    info.type = tarfile.GNUTYPE_SPARSE
    info.size = 512
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b"%011o\0%011o\0" % (0, 512)
    header[483:495] = b"\x80" + (1 << 50).to_bytes(11, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    check_refused(gzip.compress(bytes(header) + bytes(512 + 1024)))


def test_very_many_entries(check_refused, archives) -> None:
    entries = (archives.entry(f"{n}") for n in range(12_000))
    assert "more than 10,000" in check_refused(archives.packed(*entries, format=tarfile.USTAR_FORMAT, compresslevel=1))


def test_very_large_archives(home, environments, tmp_path) -> None:
    environments.template(os.urandom(65 * MIB))
    done = home.run("template", SPECIFICATION, tmp_path / "dest")
    assert done.code == ExitCode.PLATFORM
    assert "larger than 64 MiB" in done.stderr
    assert not (tmp_path / "dest").exists()


@pytest.mark.parametrize("second", ["same", "./same", "same/"])
def test_names_that_are_there_twice(check_refused, archives, second) -> None:
    stderr = check_refused(archives.packed(archives.entry("same", b"1"), archives.entry(second, b"2")))
    assert "twice" in stderr


@pytest.mark.parametrize(
    ("first", "second"),
    [("clash", "clash/below"), ("clash/below", "clash"), ("a/b/c", "a/b"), ("a/b", "a/b/c/d")],
)
def test_files_where_directories_are(check_refused, archives, first, second) -> None:
    stderr = check_refused(archives.packed(archives.entry(first, b"1"), archives.entry(second, b"2")))
    assert "not safe" in stderr


def test_a_directory_where_a_file_is(check_refused, archives) -> None:
    assert "not safe" in check_refused(archives.packed(archives.entry("clash", b"1"), archives.directory("clash")))


@pytest.mark.parametrize("name", ["nul\0byte", "\x1b[2J", "new\nline", "c1\x9bcontrol"])
def test_names_with_control_characters(check_refused, archives, name) -> None:
    odd = archives.entry("odd", b"1", pax_headers={"path": name})
    stderr = check_refused(archives.packed(archives.entry("good", b"1"), odd, format=tarfile.PAX_FORMAT))
    assert "control characters" in stderr
    assert name not in stderr


def test_names_in_any_script_arrive(home, environments, archives, tmp_path) -> None:
    names = ["größe.py", "数据/模型.py", "🚀", "e\u0301", "caf\udce9", "with space", "-rf", "a" * 200]
    entries = [archives.entry(name, b"1") for name in names]
    environments.template(archives.packed(*entries, format=tarfile.GNU_FORMAT, errors="surrogateescape"))
    done = home.run("template", SPECIFICATION, tmp_path / "dest")
    assert done.code == ExitCode.OK, done.stderr
    found = {str(p.relative_to(tmp_path / "dest")) for p in (tmp_path / "dest").rglob("*") if p.is_file()}
    assert found == set(names)


def test_a_name_that_the_file_system_cannot_hold(home, environments, archives, tmp_path) -> None:
    environments.template(archives.packed(archives.entry("good", b"1"), archives.entry("n" * 300, b"1")))
    done = home.run("template", SPECIFICATION, tmp_path / "dest")
    assert done.code == ExitCode.FAILURE
    assert "File name too long" in done.stderr
    assert not (tmp_path / "dest").exists()
    assert not list(tmp_path.glob(".algo-template-*"))


def test_a_truncated_archive_wherever_it_ends(check_refused, archives) -> None:
    content = os.urandom(3000)
    whole = archives.packed(archives.entry("a", content), archives.entry("b", content))
    for length in (1, 9, 10, 20, len(whole) // 2, len(whole) - 9, len(whole) - 8, len(whole) - 1):
        assert "broken" in check_refused(whole[:length]), length


def test_a_damaged_archive(check_refused, archives) -> None:
    content = os.urandom(3000)
    whole = bytearray(archives.packed(archives.entry("a", content)))
    whole[-6] ^= 1
    assert "broken" in check_refused(bytes(whole))
    whole[-6] ^= 1
    whole[600] ^= 0xFF
    check_refused(bytes(whole))


@pytest.mark.parametrize(
    "body", [b"no archive at all", b"PK\x03\x04 a zip", gzip.compress(b"no tar" * 500), gzip.compress(b"")]
)
def test_what_is_no_archive(check_refused, body) -> None:
    assert "broken" in check_refused(body)


def test_an_unpacked_archive_is_not_what_was_documented(check_refused, archives) -> None:
    assert "broken" in check_refused(archives.packed(archives.entry("good", b"1"), gzipped=False))


def test_an_empty_archive(check_refused, archives) -> None:
    assert "no files" in check_refused(archives.packed())
    assert "no files" in check_refused(archives.packed(archives.directory("src")))


def test_sizes_that_lead_backwards(check_refused) -> None:
    info = tarfile.TarInfo("back")
    header = bytearray(info.tobuf())
    header[124:136] = b"\xff" * 11 + b"\x00"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    check_refused(gzip.compress(bytes(header) * 3 + bytes(1024)))


def test_nothing_of_an_evil_archive_is_merged_into_an_existing_directory(check_refused, archives, tmp_path) -> None:
    (tmp_path / "work/mine").write_bytes(b"mine")
    check_refused(archives.packed(archives.entry("good", b"1"), archives.entry("../victim", b"evil")), ".")
    assert (tmp_path / "work/mine").read_bytes() == b"mine"
