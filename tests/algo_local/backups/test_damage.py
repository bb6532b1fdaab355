"""Backups that are damaged, forged or of a newer platform are refused by name, and leave nothing behind."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from algo_core.errors import AlgoError, ConfigError
from algo_local.backups.archive import DirectoryStore, TarSink
from algo_local.backups.backup import Backup
from algo_local.backups.entries import entry_of
from algo_local.backups.manifest import Damaged, header
from algo_local.backups.restore import Restoration, check
from algo_local.metadata.sqlite import SCHEMA_VERSION
from algo_local.platform import Platform
from algo_local.state import State

from .conftest import Filled, digest_of, nothing


@pytest.fixture(scope="module")
def tar(backed_up: Filled, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    platform, file = Platform(backed_up.root), io.BytesIO()
    Backup(platform, TarSink(file, SCHEMA_VERSION, tmp_path_factory.mktemp("scratch")), report=nothing).run()
    platform.close()
    return file.getvalue()


def refused(source: Path | io.BytesIO, root: Path, digest: str = "") -> AlgoError:
    """Why a backup is refused; nothing is left of the attempt."""
    at = source.tell() if isinstance(source, io.BytesIO) else 0
    with pytest.raises((Damaged, ConfigError)):
        check(source, digest, nothing)  # type: ignore[arg-type]
    if isinstance(source, io.BytesIO):
        source.seek(at)
    with pytest.raises((Damaged, ConfigError)) as raised:
        Restoration(State(root), replace=False, report=nothing).run(source, digest)  # type: ignore[arg-type]
    assert not root.exists()
    assert isinstance(raised.value, AlgoError)
    return raised.value


@pytest.mark.parametrize("part", range(12))
def test_a_truncated_archive(tar: bytes, root: Path, part: int) -> None:
    end = [0, 1, 511, 512, 700, 1024, 1536][part] if part < 7 else len(tar) * (part - 6) // 6 - 1100
    refused(io.BytesIO(tar[:end]), root)


@pytest.mark.parametrize("part", range(16))
def test_a_changed_byte(tar: bytes, root: Path, part: int, backed_up: Filled, tmp_path: Path) -> None:
    at = len(tar) * part // 16 + 77 * part
    changed = bytearray(tar)
    changed[at] ^= 0x20
    try:
        Restoration(State(root), replace=False, report=nothing).run(io.BytesIO(bytes(changed)))  # type: ignore[arg-type]
    except (Damaged, ConfigError):
        assert not root.exists()
    else:  # it meant nothing: it backed_up a block, or was a time
        assert digest_of(root, tmp_path / "again") == backed_up.manifest.digest


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, **facts: Any) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content)
    for fact, value in facts.items():
        setattr(info, fact, value)
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


START = member("algo-local-backup", header(SCHEMA_VERSION))
SHA = hashlib.sha256(b"x").hexdigest()


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (b"", "incomplete"),
        (b"not a backup" * 100, "damaged"),
        (b"\x1f\x8b\x08junk", "damaged"),
        (b"\x1f\x8b", "incomplete"),
        (member("file", b"x") + bytes(1024), "not a backup"),
        (START + bytes(1024), "no manifest"),
        (START + member("manifest.json", b"{}") + bytes(1024), "not a backup"),
        (START + member("manifest.json", b"[" * 100_000) + bytes(1024), "not JSON"),
        (START + member("../../evil", b"x"), "evil"),
        (START + member("/etc/evil", b"x"), "evil"),
        (START + member(f"objects/../{SHA}", b"x"), "it contains"),
        (START + member(f"objects/{SHA[:2]}/{SHA}", b"y"), "has another digest"),
        (START + member(f"objects/{SHA[:2]}/{SHA}", kind=tarfile.SYMTYPE, linkname="/etc/passwd"), "not a plain file"),
        (START + member(f"objects/{SHA[:2]}/{SHA}", kind=tarfile.LNKTYPE, linkname="/etc/passwd"), "not a plain file"),
        (START + member("objects", kind=tarfile.DIRTYPE), "not a plain file"),
        (START + member("objects/x", kind=tarfile.CHRTYPE, devmajor=1, devminor=3), "not a plain file"),
        (START + member("objects/x", kind=tarfile.FIFOTYPE), "not a plain file"),
        (START + member("x", kind=tarfile.GNUTYPE_SPARSE), "not a plain file"),
        (START + member("././@LongLink", b"a" * 600, kind=tarfile.GNUTYPE_LONGNAME), "not a plain file"),
        (START + member("x", b"10 path=x\n", kind=tarfile.XHDTYPE), "not a plain file"),
        (START + member("x", size=1 << 60), "is not a backup: it contains"),
        (START + member(f"objects/{SHA[:2]}/{SHA}", size=1 << 60), "ends too early"),
        (member("algo-local-backup", header(SCHEMA_VERSION + 1)), "newer algo-local"),
        (member("algo-local-backup", b'{"kind": "algo-local backup", "format": 2, "schema": 1}'), "newer algo-local"),
        (member("algo-local-backup", b'{"kind": "algo-local backup", "format": true, "schema": -1}'), "damaged"),
    ],
)
def test_an_archive_that_no_backup_is(archive: bytes, words: str, root: Path) -> None:
    assert words in refused(io.BytesIO(archive), root).message


def test_what_comes_after_the_manifest_is_refused(tar: bytes, root: Path) -> None:
    assert "after its manifest" in refused(io.BytesIO(tar[:-1024] + member("more", b"x") + bytes(1024)), root).message


class Forger:
    """Changes a backup, and makes all digests right again."""

    def __init__(self, path: Path) -> None:
        self.store = DirectoryStore(path)
        self.values = json.loads(self.store.manifest())

    def lines(self, part: dict[str, Any]) -> list[dict[str, Any]]:
        with self.store.open(part["sha256"]) as file:
            return [json.loads(line) for line in file.read().splitlines()]

    def change_rows(self, table: str, change: Callable[[dict[str, Any]], Any]) -> None:
        part = self.values["tables"][table]
        self.put(part, [change(row) or row for row in self.lines(part)])

    def change_files(self, change: Callable[[list[dict[str, Any]]], Any]) -> None:
        part = self.values["files"]
        entries = self.lines(part)
        change(entries)
        self.put(part, entries)

    def put(self, part: dict[str, Any], rows: list[dict[str, Any]], *, sort: bool = True) -> None:
        lines = [json.dumps(row).encode() + b"\n" for row in rows]
        part["lines"], part["sha256"] = len(lines), self.store.add(b"".join(sorted(lines) if sort else lines)).sha256

    def file(self, path: str, content: bytes = b"#!/bin/sh\n", **members: Any) -> dict[str, Any]:
        stored = self.store.add(content)
        return {"path": path, "kind": "file", "size": stored.size, "sha256": stored.sha256, **members}

    def finish(self) -> None:
        digest, size = hashlib.sha256(), 0
        for table, part in self.values["tables"].items():
            digest.update(f"{table} {part['lines']} {part['sha256']}\n".encode())
        for entry in self.lines(self.values["files"]):
            try:
                digest.update(entry_of(json.dumps(entry).encode()).line(with_time=False))
            except AlgoError:
                pass
            size += entry.get("size", 0)
        self.values["digest"], self.values["size"] = digest.hexdigest(), size
        self.values.pop("sha256")
        text = json.dumps(self.values, sort_keys=True).encode()
        self.values["sha256"] = hashlib.sha256(text).hexdigest()
        (self.store.path / "manifest.json").write_text(json.dumps(self.values))


TREE = "a" * 40
UUID = "00000000-0000-0000-0000-000000000000"


def adding(*paths: str, **members: Any) -> Callable[[Forger], None]:
    def change(forger: Forger) -> None:
        forger.change_files(lambda entries: entries.extend(forger.file(path, **members) for path in paths))

    return change


def link(path: str, target: str, *further: str) -> Callable[[Forger], None]:
    def change(forger: Forger) -> None:
        made = [{"path": path, "kind": "link", "target": target}, *map(forger.file, further)]
        forger.change_files(lambda entries: entries.extend(made))

    return change


def setting(table: str, column: str, value: object) -> Callable[[Forger], None]:
    return lambda forger: forger.change_rows(table, lambda row: {**row, column: value})


OUTSIDE = [
    *("../x", "/etc/x", "data/../../x", "data/jane/files/../x", "data/jane/files/.", "data/jane/files/a/b", "x"),
    *("data/jane/files/%2F%2f", "data/jane/files/.hidden", "data//files/x", "platform.sqlite3", "running/x.lock"),
    *("algorithm-data/jane/Greet/perm/../x", "environments/x/bin/python", f"sources/{TREE}", "sources/../x/y"),
    *(f"sources/{TREE}/../../x", f"sources/{TREE}/a\0b", f"repositories/{UUID}.git/hooks/post-receive"),
    *(f"repositories/{UUID}.git/config", f"repositories/{UUID}.git/objects/info/alternates"),
    *(f"repositories/{UUID}.git/refs/../config", f"repositories/{UUID}/HEAD", "connectors/../x.json", "connectors/x"),
    *("secrets.key/x", "keeper/x"),
]


@pytest.mark.parametrize(
    "change",
    [
        *(pytest.param(adding(path), id=ascii(path)) for path in OUTSIDE),
        pytest.param(adding(f"sources/{TREE}/x", kind="device"), id="device"),
        pytest.param(adding("data/jane/files/x", kind="program"), id="program in data"),
        pytest.param(adding("data/jane/files/x", size=-1), id="negative size"),
        pytest.param(adding("data/jane/files/x", size=1), id="wrong size"),
        pytest.param(adding("data/jane/files/x", sha256="0" * 64), id="missing content"),
        pytest.param(adding("data/jane/files/x", sha256="../" * 21 + "x"), id="no digest"),
        pytest.param(adding("data/jane/files/x", md5="0" * 32), id="wrong md5"),
        pytest.param(adding("data/jane/files/x", modified="now"), id="wrong time"),
        pytest.param(adding("data/jane/files/x", unknown=1), id="unknown member"),
        pytest.param(adding("data/jane/nowhere/x"), id="no such collection"),
        pytest.param(adding("data/jane/files/x", "data/jane/files/x"), id="twice"),
        pytest.param(adding(f"sources/{TREE}/x", f"sources/{TREE}/x/y"), id="file and directory"),
        pytest.param(link(f"sources/{TREE}/l", "/etc/passwd"), id="absolute link"),
        pytest.param(link(f"sources/{TREE}/l", "../../x"), id="link out of the tree"),
        pytest.param(link(f"sources/{TREE}/d/l", "../.."), id="link above the tree"),
        pytest.param(link("data/jane/files/l", "large"), id="link in data"),
        pytest.param(link(f"sources/{TREE}/l", "d", f"sources/{TREE}/l/x"), id="through a link"),
        pytest.param(link(f"sources/{TREE}/l", "d", f"sources/{TREE}/l#", f"sources/{TREE}/l/x"), id="through, later"),
        pytest.param(setting("builds", "python", "/bin/sh"), id="interpreter outside"),
        pytest.param(setting("builds", "python", f"environments/{TREE}/bin/../../../x"), id="interpreter above"),
        pytest.param(setting("builds", "source", "sources/.."), id="source above"),
        pytest.param(setting("builds", "source", "/etc"), id="source outside"),
        pytest.param(setting("builds", "source", None), id="no source"),
        pytest.param(setting("collections", "name", ".."), id="collection above"),
        pytest.param(setting("accounts", "name", "a/b"), id="account with a slash"),
        pytest.param(setting("connectors", "id", "../x"), id="connector above"),
        pytest.param(setting("algorithms", "id", "../x"), id="algorithm above"),
        pytest.param(setting("algorithms", "owner", "nobody"), id="no such owner"),
        pytest.param(setting("organization_types", "name", "same"), id="two rows of one key"),
        pytest.param(setting("settings", "value", 1 << 70), id="number too large"),
        pytest.param(setting("settings", "value", ["list"]), id="list"),
        pytest.param(setting("settings", "value", {"base64": "?"}), id="no base64"),
        pytest.param(setting("settings", "value", {"eval": "1"}), id="unknown value"),
        pytest.param(setting("settings", "extra", 1), id="unknown column"),
        pytest.param(lambda forger: forger.change_rows("settings", lambda row: row.pop("value") and None), id="lacks"),
        pytest.param(lambda forger: forger.put(forger.values["tables"]["keys"], [[1]]), id="no object"),
        pytest.param(lambda forger: forger.values["tables"].pop("keys"), id="lacks a table"),
        pytest.param(lambda forger: forger.values["tables"].update(x=forger.values["files"]), id="unknown table"),
        pytest.param(lambda forger: forger.values.update(schema=SCHEMA_VERSION + 1), id="newer schema"),
        pytest.param(lambda forger: forger.values.update(more=1), id="unknown member of the manifest"),
    ],
)
def test_a_forged_backup_with_right_digests(
    backed_up: Filled, root: Path, tmp_path: Path, change: Callable[[Forger], Any]
) -> None:
    shutil.copytree(backed_up.backup, tmp_path / "b")
    forger = Forger(tmp_path / "b")
    change(forger)
    forger.finish()
    with pytest.raises((Damaged, ConfigError)):
        Restoration(State(root), replace=False, report=nothing).run(tmp_path / "b")
    assert not root.exists()
    assert {path.name for path in tmp_path.iterdir()} <= {"b", "home"}


def test_files_out_of_order_are_refused(backed_up: Filled, root: Path, tmp_path: Path) -> None:
    shutil.copytree(backed_up.backup, tmp_path / "b")
    forger = Forger(tmp_path / "b")
    forger.put(forger.values["files"], forger.lines(forger.values["files"])[::-1], sort=False)
    forger.finish()
    refused(tmp_path / "b", root)


def test_another_backup_than_the_one_that_was_meant(backed_up: Filled, root: Path) -> None:
    assert backed_up.manifest.digest in refused(backed_up.backup, root, "0" * 64).message


def test_a_directory_that_is_not_whole(backed_up: Filled, root: Path, tmp_path: Path) -> None:
    shutil.copytree(backed_up.backup, tmp_path / "b")
    (tmp_path / "b" / "manifest.json").unlink()
    assert "no manifest" in refused(tmp_path / "b", root).message
    for content in sorted((tmp_path / "b" / "objects").rglob("*"))[:14]:
        if content.is_file():
            shutil.copy(backed_up.backup / "manifest.json", tmp_path / "b")
            kept = content.read_bytes()
            content.write_bytes(kept[:-1] + bytes([(kept or b"x")[-1] ^ 1]))
            refused(tmp_path / "b", root)
            content.unlink()
            content.symlink_to("/etc/passwd")
            with pytest.raises((Damaged, OSError)):
                check(tmp_path / "b", "", nothing)
            content.unlink()
            refused(tmp_path / "b", root)
            content.write_bytes(kept)
    assert check(tmp_path / "b", backed_up.manifest.digest, nothing)
