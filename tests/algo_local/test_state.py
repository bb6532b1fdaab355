"""Where the state of a platform is, as the environment and options say; passwords in URLs are never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from algo_core.errors import ConfigError, ExitCode
from algo_core.testing import Home
from algo_local.algorithms.installation.installing import build_environment
from algo_local.algorithms.languages.rscript import clean_environment
from algo_local.state import State, place


def test_the_environment_names_all_three_places(tmp_path: Path) -> None:
    url, store = "postgresql://jane@db/algo", "s3://bucket/prefix"
    environ = {"ALGO_LOCAL_ROOT": str(tmp_path), "ALGO_LOCAL_METADATA": url, "ALGO_LOCAL_OBJECTS": store}
    assert State.of(environ) == State(tmp_path, url, store)
    assert State.of({**environ, "ALGO_LOCAL_METADATA": "", "ALGO_LOCAL_OBJECTS": ""}) == State(tmp_path)
    assert State.of(environ).at("postgres://other/x", None) == State(tmp_path, "postgres://other/x", store)


def test_a_directory_alone_exists_once_there_is_a_database(tmp_path: Path) -> None:
    assert not State(tmp_path).exists
    (tmp_path / "platform.sqlite3").touch()
    assert State(tmp_path).exists
    assert State(tmp_path / "other", "postgresql://db/algo").exists


@pytest.mark.parametrize("url", ["mysql://jane:hush@db/x", "jane:hush@db/x", "sqlite:///x?password=hush", "hush@", "x"])
def test_other_databases_are_refused_without_the_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        State(tmp_path, metadata=url)
    assert "PostgreSQL" in (caught.value.hint or "")
    assert "hush" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://jane:hush@db:5432/algo",
        "postgresql://jane:hu/hush@db:5432/algo",
        "postgresql://jane:hu@hush@db:5432/algo",
        "postgresql://jane:a?b#hush@db:5432/algo",
        "postgresql://jane:a\nhush@db:5432/algo",
        "postgresql://db:5432/algo?password=hush",
        "postgresql://db:5432/algo?sslpassword=hush&sslmode=require",
        "s3://KEY:hu/sh@db:5432/algo",
        "s3://db:5432/algo?aws_secret_access_key=hush",
        "jane:hush@db:5432/algo",
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, tmp_path: Path) -> None:
    assert "hush" not in place(url)
    assert "hu/sh" not in place(url)
    assert "db:5432/algo" in place(url)
    if url.startswith("postgresql"):
        state = State(tmp_path, metadata=url)
        assert "hush" not in f"{state} {state!r}"


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No object store"):
        State(tmp_path, objects="bucket/prefix")


def test_commands_refuse_what_they_cannot_open(algo_home: Home) -> None:
    for command in (["serve", "--metadata", "mysql://jane:hush@db/x"], ["serve", "--objects", "jane:hush@x"]):
        done = algo_home.run("local", *command)
        assert (done.code, "hush" in done.stderr) == (ExitCode.CONFIGURATION, False), done.stderr
    algo_home.environ["ALGO_LOCAL_METADATA"] = "oracle://jane:hush@db/x"
    for command in (["status"], ["key", "new", "me"], ["reset", "--yes"], ["top"]):
        done = algo_home.run("local", *command)
        assert (done.code, "hush" in done.stderr) == (ExitCode.CONFIGURATION, False), done.stderr


@pytest.mark.parametrize(
    ("option", "code"),
    [
        (["--metadata", "postgresql://jane:hush@127.0.0.1:1/x"], ExitCode.NETWORK),
        (["--objects", "nothing://k:hush@b"], ExitCode.CONFIGURATION),
        (["--objects", "memory://hush@b"], ExitCode.CONFIGURATION),
        (["--objects", "memory://b", "--processes", "2"], ExitCode.CONFIGURATION),
        (["--objects", "http://127.0.0.1:1/bucket"], ExitCode.CONFIGURATION),
    ],
)
def test_a_server_that_cannot_hold_the_state_ends_the_start(option: list[str], code: int, algo_home: Home) -> None:
    done = algo_home.run("local", "serve", "--port", "0", *option)
    assert done.code == code, done.stderr
    assert "hush" not in done.stderr


def test_programs_that_build_algorithms_see_no_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALGO_LOCAL_METADATA", "ALGO_LOCAL_OBJECTS", "ALGO_LOCAL_SECRETS_KEY", "PGPASSWORD"):
        monkeypatch.setenv(name, "hush")
    for environment in (build_environment(), clean_environment()):
        assert "hush" not in environment.values()
        assert "PATH" in environment
