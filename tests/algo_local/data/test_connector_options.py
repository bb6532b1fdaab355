"""What opens connectors is in the database, encrypted: one for all machines, and adopted from files of before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.postgresql import PostgresqlServer

from algo_core.errors import NotFoundError, PlatformError
from algo_local.backups import backup as backup_module
from algo_local.backups.archive import DirectoryStore
from algo_local.backups.backup import Backup
from algo_local.backups.inventory import Found, Inventory
from algo_local.backups.restore import Restoration
from algo_local.backups.tables import lines_of
from algo_local.data import connectors
from algo_local.maintenance import renew_key
from algo_local.platform import Platform
from algo_local.state import State

ON_BOTH_DATABASES = True
OPTIONS = {"secret_access_key": "hush", "endpoint_url": "http://127.0.0.1:1/ü"}


class Opened:
    """A store that was opened with options."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = dict(options)


@pytest.fixture(autouse=True)
def _opener(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connectors, "_installed", lambda scheme, options: Opened(options))


def opened(platform: Platform, name: str) -> Opened:
    found: object = platform.connectors.open(platform.connectors.find("jane", name))
    assert isinstance(found, Opened)
    return found


def as_before(platform: Platform, name: str, content: bytes) -> Path:
    """Put the options of a connector where older versions have kept them."""
    found = platform.connectors.find("jane", name)
    with platform.database.write() as rows:
        rows.execute("UPDATE connectors SET options = NULL WHERE id = ?", (found.id,))
    file = platform.root / "connectors" / f"{found.id}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    return file


@pytest.fixture
def connected(root: Path) -> State:
    """Of a platform with a connector."""
    with closing(Platform(State.of())) as platform:
        assert platform.account
        platform.connectors.add("jane", "s3+mine", OPTIONS)
    return State.of()


def test_options_are_encrypted_where_they_lie(connected: State) -> None:
    with closing(Platform(connected)) as platform:
        assert opened(platform, "s3").options == OPTIONS
        with platform.database.read() as rows:
            assert "hush" not in str(list(rows.execute("SELECT * FROM connectors")))
        assert "hush" not in repr(platform.connectors.find("jane", "s3"))
    assert not any(b"hush" in path.read_bytes() for path in connected.root.rglob("*") if path.is_file())


def test_files_of_before_are_adopted_once(connected: State) -> None:
    with closing(Platform(connected)) as platform:
        assert platform.account
        for label in "abcd":
            platform.connectors.add("jane", f"s3+{label}", {"of": label})
        file = as_before(platform, "s3+a", json.dumps(OPTIONS).encode())
        broken = [as_before(platform, "s3+b", b"{"), as_before(platform, "s3+c", b"[]")]
        known = file.with_name(f"{platform.connectors.find('jane', 's3+d').id}.json")
        known.write_bytes(b'{"of": "before"}')
        other = file.with_name("another.json")
        other.write_bytes(b"{}")
    with closing(Platform(connected)) as platform:
        assert opened(platform, "s3+a").options == OPTIONS
        assert opened(platform, "s3+d").options == {"of": "d"}, "what the database has is newer"
        for name in ("s3+b", "s3+c"):
            with pytest.raises(PlatformError, match="are missing"):
                opened(platform, name)
    assert not file.exists()
    assert not known.exists()
    assert all(each.exists() for each in (*broken, other)), "what cannot be adopted is not lost"


def test_options_of_another_key_are_refused_by_name(connected: State) -> None:
    (connected.root / "secrets.key").unlink()
    renew_key(connected)
    with closing(Platform(connected)) as platform:
        with pytest.raises(PlatformError, match="is not the key that encrypted it"):
            opened(platform, "s3+mine")
        platform.connectors.edit(platform.connectors.find("jane", "s3+mine"), options={"of": "again"})
        assert opened(platform, "s3+mine").options == {"of": "again"}


def test_a_backup_of_before_is_restored_with_its_files(
    connected: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = {  # columns that schema 15 did not have
        "connectors": ("options",),
        "requests": ("resumption",),
        "algorithms": ("resources",),
        "builds": ("attempts",),
    }

    def lines(rows: Any, table: str, **options: bool) -> Iterator[bytes]:
        for line in lines_of(rows, table, **options):
            values = json.loads(line)
            for name in later.get(table, ()):
                del values[name]
            yield json.dumps(values, sort_keys=True).encode() + b"\n"

    def files(self: Inventory) -> Iterator[Found]:
        yield from whole(self)
        yield from self._plain(f"connectors/{file.name}")

    whole = Inventory.__iter__
    with closing(Platform(connected)) as platform:
        assert platform.account
        file = as_before(platform, "s3+mine", json.dumps(OPTIONS).encode())
        with platform.database.write() as rows:
            rows.execute(
                "INSERT INTO requests (id, account, algorithm, owner, name, version, created_at, state, parent, is_void,"
                " platform, worker, printed, error, key_digest)"
                " VALUES ('req-1', 'jane', '', '', '', '', 1, 'done', '', 0, '', '', '', '', '')"
            )
        monkeypatch.setattr(backup_module, "lines_of", lines)
        monkeypatch.setattr(backup_module, "SCHEMA_VERSION", 15)
        monkeypatch.setattr(Inventory, "__iter__", files)
        store = DirectoryStore(tmp_path / "backup")
        store.begin()
        Backup(platform, store, report=lambda size, path: None).run()
    restored = State(tmp_path / "restored")
    Restoration(restored, replace=False, report=lambda size, path: None).run(tmp_path / "backup")
    with closing(Platform(restored)) as platform:
        assert opened(platform, "s3+mine").options == OPTIONS
        assert platform.records.find("req-1")
    assert not list((restored.root / "connectors").glob("*"))


def test_what_one_machine_changes_holds_on_the_others_at_once(postgresql: PostgresqlServer, tmp_path: Path) -> None:
    url = postgresql.lend()
    with closing(Platform(State(tmp_path / "one", url))) as one:
        one.connectors.add(one.metadata.ensure_account("jane"), "s3+x", OPTIONS)
        (tmp_path / "two").mkdir(mode=0o700)
        shutil.copy(tmp_path / "one" / "secrets.key", tmp_path / "two")
        with closing(Platform(State(tmp_path / "two", url))) as two:
            assert opened(two, "s3+x").options == OPTIONS
            first = opened(two, "s3+x")
            assert opened(two, "s3+x") is first, "connections are reused"
            one.connectors.edit(one.connectors.find("jane", "s3+x"), options={"of": "one"})
            assert opened(two, "s3+x").options == {"of": "one"}
            two.connectors.add("jane", "s3+y", {"of": "two"})
            assert opened(one, "s3+y").options == {"of": "two"}
            two.connectors.remove("jane", "s3+x")
            with pytest.raises(NotFoundError):
                opened(one, "s3+x")
    postgresql.take_back(url)
