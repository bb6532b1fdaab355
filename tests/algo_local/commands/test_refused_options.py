"""Options and variables that cannot be meant: the error names them, and nothing is made."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from algo_core.errors import ExitCode, UsageError
from algo_core.testing import Home
from algo_local.commands.migrate import state_of
from algo_local.refusals import storage_error

EMPTY = [
    *(("serve", option, "") for option in ("--metadata", "--objects", "--engine", "--ray-address", "--host")),
    ("serve", "--metadata", " \t"),
    ("migrate", "--to", ""),
    ("migrate", "--to", " "),
    ("migrate", "--from", "", "--to", "elsewhere"),
    ("backup", ""),
    ("restore", ""),
    ("restore", "--digest", "", "."),
]


@pytest.fixture
def nowhere(algo_home: Home, tmp_path: Path) -> Home:
    algo_home.environ["ALGO_LOCAL_ROOT"] = str(tmp_path / "state")
    return algo_home


def test_an_empty_value_is_not_the_default(nowhere: Home, tmp_path: Path) -> None:
    """As of `--metadata "$URL"` in a script that has not set it: an empty platform would be served."""
    for command in EMPTY:
        done = nowhere.run("local", *command)
        name = next((word for word in command if word.startswith("--")), "TARGET" if "backup" in command else "SOURCE")
        assert (done.code, "empty" in done.stderr) == (ExitCode.USAGE, True), (command, done.stderr)
        assert name in done.stderr, (command, done.stderr)
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    "text",
    [
        *("foo=bar", "meta=postgresql://h/d", "=", ",", "/srv/a,", ",/srv/a", "metadata=", "objects=", "root="),
        *("root=/a,root=/b", "s3://b/p,objects=s3://b/q", "postgresql://h/a,postgres://h/b"),
    ],
)
def test_what_is_no_state_is_no_directory(text: str) -> None:
    with pytest.raises(UsageError):
        state_of(text)


def test_a_directory_may_have_any_name() -> None:
    for name in ("/srv/foo=bar", "./foo=bar", "/srv/a,b", "~/algo"):
        assert state_of(name).root == Path(name).expanduser().absolute()


def test_a_variable_is_refused_before_anybody_connects(nowhere: Home) -> None:
    for name, text in (
        *(("WORKERS", "nan"), ("QUEUE", "junk"), ("WORKERS_KEPT", "-1"), ("WORKER_SECONDS", "0")),
        *(("MEMORY", "1e400"), ("HANG_SECONDS", "inf"), ("RECORD_DAYS", "2.5")),
    ):
        nowhere.environ[f"ALGO_LOCAL_{name}"] = text
        done = nowhere.run("local", "serve", "--port", "0")
        assert (done.code, done.stdout) == (ExitCode.CONFIGURATION, b""), done.stderr
        assert done.stderr.startswith(f"error: ALGO_LOCAL_{name} must be "), done.stderr
        del nowhere.environ[f"ALGO_LOCAL_{name}"]


@pytest.mark.parametrize("name", ["s4", "postgresql+label"])
def test_a_connector_that_nothing_opens_is_refused(name: str, nowhere: Home) -> None:
    done = nowhere.run("local", "connector", "add", name, "--option", "key=hush")
    assert (done.code, "hush" in done.stderr) == (ExitCode.FAILURE, False), done.stderr
    assert f" {name.partition('+')[0]}://" in done.stderr
    assert "Connectors: azureblob, dropbox, gs, s3" in done.stderr
    assert name.encode() not in nowhere.run("local", "connector", "list").stdout


def test_connectors_that_are_installed_are_accepted(nowhere: Home) -> None:
    for name in ("s3", "gs+x", "memory"):
        done = nowhere.run("local", "connector", "add", name)
        assert done.code == ExitCode.OK, done.stderr


def test_a_place_that_cannot_be_written_is_not_told_as_a_full_disk() -> None:
    for number in (errno.EEXIST, errno.ENOTDIR, errno.EACCES, errno.EROFS, errno.ENOENT):
        told = storage_error(OSError(number, os.strerror(number), "/srv/a"), "The backup /srv could not be written")
        assert "this user may write" in (told.hint or "")
        assert "Make room" not in (told.hint or "")
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        assert "Make room" in (storage_error(OSError(number, os.strerror(number)), "It failed").hint or "")
