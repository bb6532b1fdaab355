"""The key of secrets is one for all machines of a platform: another one, or none, is refused when the state is opened."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from support.postgresql import PostgresqlServer

from algo_core.errors import ConfigError, ExitCode, PlatformError
from algo_core.testing import Home
from algo_local.maintenance import renew_key
from algo_local.metadata.store import KEY_CHECK, Metadata
from algo_local.platform import Platform
from algo_local.state import KEY_FILE, KEY_VARIABLE, State

ON_BOTH_DATABASES = True

OTHER = base64.urlsafe_b64encode(bytes(range(32)))


def algorithm(platform: Platform) -> str:
    found = platform.registry.algorithm("demo", "Hello")
    assert found
    return found.id


def keep(platform: Platform, name: str = "TOKEN") -> None:
    platform.secrets.create(algorithm(platform), name, "", name, "hush")


def kept(state: State) -> dict[str, str]:
    with closing(Platform(state)) as platform:
        return platform.secrets.environment(algorithm(platform))


def forget_check(state: State) -> None:
    """As a database that an older version has made."""
    with closing(Platform(state)) as platform, platform.database.write() as rows:
        rows.execute("DELETE FROM settings WHERE name = ?", (KEY_CHECK,))


@pytest.fixture
def secretive(root: Path) -> State:
    """Of a platform with a secret."""
    state = State.of()
    with closing(Platform(state)) as platform:
        keep(platform)
    return state


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "is missing: "),
        (OTHER, "is not the key"),
        (OTHER + b"\n", "is not the key"),
        (b"", "cannot be used: it is no key"),
        (b"nonsense", "cannot be used: it is no key"),
        (OTHER[:-4], "cannot be used: it is no key"),
        ("ü".encode(), "cannot be used: it is no key"),
    ],
)
@pytest.mark.parametrize("noted", [True, False])
def test_a_key_that_does_not_fit_is_refused(secretive: State, content: bytes | None, told: str, noted: bool) -> None:
    if not noted:
        forget_check(secretive)
    file = secretive.root / KEY_FILE
    right = file.read_bytes()
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    is_known = noted or content is not None
    with closing(Platform(secretive)) as platform, pytest.raises(ConfigError) as caught:
        if not is_known:  # nothing is encrypted before it is known whether this machine may
            assert platform.account
            keep(platform, "OTHER")
        _ = platform.account
    assert told in caught.value.message
    assert str(file) in caught.value.message
    assert file.exists() == (content is not None), "no key was made"
    assert all(word in str(caught.value.hint) for word in ("algo local reset --secrets",))
    file.write_bytes(right + b"\n")
    assert kept(secretive) == {"TOKEN": "hush"}
    assert not noted or right.decode() not in str(caught.value)


def test_the_key_may_come_by_the_environment(secretive: State, monkeypatch: pytest.MonkeyPatch) -> None:
    file = secretive.root / KEY_FILE
    right = file.read_text()
    monkeypatch.setenv(KEY_VARIABLE, OTHER.decode())
    with pytest.raises(ConfigError, match=f"{KEY_VARIABLE} is not the key") as caught:
        kept(secretive)
    assert OTHER.decode() not in f"{caught.value} {caught.value.hint}"
    monkeypatch.setenv(KEY_VARIABLE, "no key, hush")
    with pytest.raises(ConfigError, match=f"{KEY_VARIABLE} cannot be used") as caught:
        kept(secretive)
    assert "hush" not in f"{caught.value} {caught.value.hint}"
    monkeypatch.setenv(KEY_VARIABLE, f"{right}\n")
    file.unlink()
    assert kept(secretive) == {"TOKEN": "hush"}
    assert not file.exists()
    file.write_bytes(OTHER)
    assert kept(secretive) == {"TOKEN": "hush"}, "the variable comes first"
    monkeypatch.setenv(KEY_VARIABLE, " ")
    with pytest.raises(ConfigError, match="is not the key"):
        kept(secretive)


def test_what_is_derived_is_the_same_wherever_the_key_comes_from(
    secretive: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Platform(secretive)) as platform:
        derived = platform.webhook_secret("jane")
    monkeypatch.setenv(KEY_VARIABLE, (secretive.root / KEY_FILE).read_text() + "\n")
    with closing(Platform(secretive)) as platform:
        assert platform.webhook_secret("Jane") == derived


def test_a_key_of_before_is_noted_at_the_first_start(secretive: State) -> None:
    forget_check(secretive)
    with closing(Platform(secretive)) as platform:
        noted = platform.metadata.setting(KEY_CHECK)
    assert noted
    assert (secretive.root / KEY_FILE).read_text() not in noted
    (secretive.root / KEY_FILE).write_bytes(OTHER)
    with pytest.raises(ConfigError, match="is not the key"):
        kept(secretive)


def test_a_key_that_has_encrypted_something_is_the_right_one(secretive: State) -> None:
    """Some secrets may be of a key before it, which the platform did without."""
    with closing(Platform(secretive)) as platform:
        keep(platform, "OTHER")
        with platform.database.write() as rows:
            rows.execute("UPDATE secrets SET value = ? WHERE secret_key = 'TOKEN'", (b"of another",))
    forget_check(secretive)
    with (
        closing(Platform(secretive)) as platform,
        pytest.raises(PlatformError, match="is not the key that encrypted it"),
    ):
        platform.secrets.environment(algorithm(platform))


@pytest.mark.parametrize("noted", ["", "[]", "7", "null", '["ü", 1]', "[[], {}]", '{"a": 1, "b": 2}'])
def test_a_damaged_note_is_refused_as_another_key(secretive: State, noted: str) -> None:
    with closing(Platform(secretive)) as platform, platform.database.write() as rows:
        rows.execute("UPDATE settings SET value = ? WHERE name = ?", (noted, KEY_CHECK))
    with pytest.raises(ConfigError, match="is not the key"):
        kept(secretive)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_lost_key_is_given_up(secretive: State, is_there: bool) -> None:
    file = secretive.root / KEY_FILE
    file.unlink()
    if is_there:
        file.write_bytes(OTHER)
    renew_key(secretive)
    assert not is_there or file.read_bytes() == OTHER
    with closing(Platform(secretive)) as platform:
        keep(platform, "NEW")
        with pytest.raises(PlatformError, match="is not the key that encrypted it"):
            platform.secrets.environment(algorithm(platform))
        (lost,) = [secret for secret in platform.secrets.of(algorithm(platform)) if secret.secret_key == "TOKEN"]
        platform.secrets.edit(algorithm(platform), lost.id, {}, "again")
    assert kept(secretive) == {"NEW": "hush", "TOKEN": "again"}


def test_a_platform_without_secrets_has_no_key(root: Path) -> None:
    with closing(Platform(State.of())) as platform:
        assert platform.account
    assert not (root / KEY_FILE).exists()


class TestSeveralMachines:
    """Directories of their own over one database."""

    @pytest.fixture
    def state_at(self, postgresql: PostgresqlServer, tmp_path: Path) -> Iterator[Callable[[str], State]]:
        url = postgresql.lend()
        yield lambda name: State(tmp_path / name, url)
        postgresql.take_back(url)

    def test_the_first_that_serves_makes_the_key_and_others_need_it(self, state_at: Callable[[str], State]) -> None:
        one, two = state_at("one"), state_at("two")
        with closing(Platform(two)) as early, closing(Platform(one)) as first:
            assert early.account
            first.ensure_key()
            for use in (early.ensure_key, lambda: keep(early), lambda: early.webhook_secret("jane")):
                with pytest.raises(ConfigError, match="is missing: ") as caught:
                    use()
            keep(first)
        assert f"{os.uname().nodename}:{one.root / KEY_FILE}" in str(caught.value.hint)
        with pytest.raises(ConfigError, match="is missing: "):
            kept(two)
        assert not (two.root / KEY_FILE).exists()
        shutil.copy(one.root / KEY_FILE, two.root / KEY_FILE)
        assert kept(two) == {"TOKEN": "hush"}

    def test_machines_that_begin_at_once_have_one_key(self, state_at: Callable[[str], State]) -> None:
        platforms = [Platform(state_at(str(number))) for number in range(4)]

        def begin(platform: Platform) -> bool:
            try:
                platform.ensure_key()
            except ConfigError:
                return False
            return True

        assert platforms[0].account
        with ThreadPoolExecutor() as pool:
            assert sorted(pool.map(begin, platforms)) == [False, False, False, True]
        assert sum((platform.root / KEY_FILE).exists() for platform in platforms) == 1
        for platform in platforms:
            platform.close()

    def test_a_database_of_before_is_not_encrypted_with_a_second_key(self, state_at: Callable[[str], State]) -> None:
        with closing(Platform(state_at("one"))) as platform:
            keep(platform)
        forget_check(state_at("one"))
        with closing(Platform(state_at("two"))) as platform, pytest.raises(ConfigError, match="is missing: "):
            platform.ensure_key()
        (state_at("two").root / KEY_FILE).write_bytes(OTHER)
        with pytest.raises(ConfigError, match="is not the key"):
            kept(state_at("two"))
        assert kept(state_at("one")) == {"TOKEN": "hush"}

    def test_serving_and_commands_refuse_and_say_what_to_copy(
        self, state_at: Callable[[str], State], algo_home: Home
    ) -> None:
        one, two = state_at("one"), state_at("two")
        with closing(Platform(one)) as platform:
            platform.ensure_key()
        assert one.metadata
        algo_home.environ |= {"ALGO_LOCAL_METADATA": one.metadata, "ALGO_LOCAL_ROOT": str(two.root)}
        commands = [["serve", "--port", "0"], ["serve", "--port", "0", "--processes", "2"], ["status"], ["key", "list"]]
        for command in commands:
            done = algo_home.run("local", *command)
            assert done.code == ExitCode.CONFIGURATION, (command, done.stderr)
            assert f"is missing: {two.root / KEY_FILE}" in done.stderr
            assert str(one.root / KEY_FILE) in done.stderr
        asked = algo_home.run("local", "reset", "--secrets")
        assert (asked.code, "algo local reset --secrets --yes" in asked.stderr) == (ExitCode.USAGE, True)
        given = {KEY_VARIABLE: (one.root / KEY_FILE).read_text()}
        assert algo_home.run("local", "status", environ={**algo_home.environ, **given}).code == ExitCode.OK
        assert algo_home.run("local", "reset", "--secrets", "--yes").code == ExitCode.OK
        assert algo_home.run("local", "status").code == ExitCode.OK
        with pytest.raises(ConfigError, match="is not the key"):
            kept(one)

    def test_a_platform_is_put_into_another_directory_with_its_key(self, state_at: Callable[[str], State]) -> None:
        """What has the database's rows needs nothing else."""
        with closing(Platform(state_at("one"))) as platform:
            keep(platform)
        moved = replace(state_at("one"), root=state_at("two").root)
        shutil.copytree(state_at("one").root, moved.root)
        assert kept(moved) == {"TOKEN": "hush"}
        with closing(Platform(moved)) as platform:
            assert Metadata(platform.database).settings(KEY_CHECK, "nothing").keys() == {KEY_CHECK}
