"""`algo local ...` as a person at a terminal uses it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from algo_core.errors import ExitCode

Algo = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    directory = tmp_path / "hello"
    (directory / "src").mkdir(parents=True)
    (directory / "src" / "__init__.py").touch()
    (directory / "src" / "Greet.py").write_text("def apply(input):\n    return 'Good day ' + input\n")
    return directory


def test_publish_prints_one_line_and_what_it_published_answers(run_algo: Algo, hello: Path, embedded: Any) -> None:
    done = run_algo("local", "publish", str(hello), "acme/Greet", "--version", "1.0.0")
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.OK, "Published acme/Greet/1.0.0\n", "")
    assert embedded.run("acme/Greet", b"HAL").json()["result"] == "Good day HAL"


@pytest.mark.parametrize(
    ("address", "flags", "is_told"),
    [
        ("https://algo.example.org", (), True),
        ("http://127.0.0.1:9", (), False),
        ("http://127.0.0.1:9", ("--profile", "default"), True),
    ],
)
def test_publish_says_where_to_if_a_profile_says_otherwise(
    run_algo: Algo, hello: Path, tmp_path: Path, address: str, flags: tuple[str, ...], is_told: bool
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text(f'[profiles.default]\naddress = "{address}"\n')
    (tmp_path / "config" / "config.toml").chmod(0o600)
    done = run_algo("local", "publish", str(hello), "acme/Greet", *flags)
    assert (done.returncode, done.stdout) == (ExitCode.OK, "Published acme/Greet/0.1.0\n"), done.stderr
    assert (f"this machine's own platform; to publish at {address}" in done.stderr) is is_told


def test_publish_in_json(run_algo: Algo, hello: Path) -> None:
    done = run_algo("local", "publish", str(hello), "algo://acme/Greet", "--version", "1.0.0", "--private", "--json")
    answer = json.loads(done.stdout)
    assert len(answer.pop("commit")) == 40
    assert answer == {"algorithm": "acme/Greet", "version": "1.0.0", "visibility": "private", "new": True}


def test_publish_never_replaces_and_says_what_could_be_next(run_algo: Algo, hello: Path, embedded: Any) -> None:
    run_algo("local", "publish", str(hello), "acme/Greet", "--version", "1.0.0")
    (hello / "src" / "Greet.py").write_text("def apply(input):\n    return 'changed'\n")
    done = run_algo("local", "publish", str(hello), "acme/greet", "--version", "1.0.0")
    assert done.returncode == ExitCode.FAILURE
    assert "acme/Greet/1.0.0 is published already" in done.stderr
    assert "--version 1.0.1" in done.stderr
    assert embedded.run("acme/Greet", b"HAL").json()["result"] == "Good day HAL"
    done = run_algo("local", "publish", str(hello), "acme/greet", "--version", "1.0.1")
    assert done.stdout == "Published acme/Greet/1.0.1\n"
    assert embedded.run("acme/Greet", b"HAL").json()["result"] == "changed"
    assert embedded.run("acme/Greet/1.0.0", b"HAL").json()["result"] == "Good day HAL"


@pytest.mark.parametrize(
    ("reference", "version", "code", "said"),
    [
        ("Greet", "1.0.0", ExitCode.USAGE, "OWNER/NAME"),
        ("a/b/c", "1.0.0", ExitCode.USAGE, "OWNER/NAME"),
        ("acme/Greet", "1.0", ExitCode.USAGE, "1.0.0"),
        ("acme/Greet", "latest", ExitCode.USAGE, "1.0.0"),
        ("a-b/Greet", "1.0.0", ExitCode.FAILURE, "not a valid name for an account"),
        ("temp/Greet", "1.0.0", ExitCode.FAILURE, "reserved"),
        ("acme/1Greet", "1.0.0", ExitCode.FAILURE, "not a valid name for an algorithm"),
    ],
)
def test_publish_refuses_what_cannot_be(
    run_algo: Algo, hello: Path, reference: str, version: str, code: int, said: str
) -> None:
    done = run_algo("local", "publish", str(hello), reference, "--version", version)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_publish_of_what_is_no_algorithm(run_algo: Algo, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = run_algo("local", "publish", str(tmp_path / "empty"), "acme/Greet", "--version", "1.0.0")
    assert done.returncode == ExitCode.FAILURE
    assert "Cannot build acme/Greet" in done.stderr
    assert (
        run_algo("local", "publish", str(tmp_path / "none"), "acme/Greet", "--version", "1.0.0").returncode
        == ExitCode.USAGE
    )


def test_a_new_key_is_alone_on_stdout_and_works(run_algo: Algo, platform: Any) -> None:
    done = run_algo("local", "key", "new", "alice", "--label", "laptop")
    key = done.stdout.rstrip("\n")
    assert (done.returncode, done.stderr) == (ExitCode.OK, "")
    assert (len(key), key[:3], key.isalnum()) == (28, "sim", True)
    assert platform.keys.find(key).owner == "alice"
    listed = run_algo("local", "key", "list").stdout
    assert key not in listed
    assert "alice" in listed
    assert "laptop" in listed
    (row,) = json.loads(run_algo("local", "key", "list", "--json").stdout)
    assert (row["owner"], row["label"]) == ("alice", "laptop")
    done = run_algo("local", "key", "revoke", str(row["id"]))
    assert (done.returncode, done.stdout) == (ExitCode.OK, "")
    assert platform.keys.find(key) is None
    done = run_algo("local", "key", "revoke", key)
    assert done.returncode == ExitCode.NOT_FOUND
    assert key not in done.stderr
    assert run_algo("local", "key", "new", "not-a-name").returncode == ExitCode.FAILURE


def test_status_of_a_fresh_platform(run_algo: Algo, root: Path) -> None:
    status = json.loads(run_algo("local", "status", "--json").stdout)
    assert status["root"] == str(root)
    assert (status["account"], status["accounts"], status["keys"], status["collections"]) == ("jane", 2, 0, 0)
    assert status["algorithms"] == [{"name": "demo/Hello", "versions": ["1.0.0", "0.1.1", "0.1.0"]}]
    assert status["bytes"]["data"] == 0
    text = run_algo("local", "status").stdout
    assert str(root) in text
    assert "demo/Hello  1.0.0, 0.1.1, 0.1.0\n" in text


def test_disk_is_shown_and_given_back(run_algo: Algo, root: Path, hello: Path) -> None:
    run_algo("local", "publish", str(hello), "acme/Greet", "--version", "1.0.0")
    stale = root / "environments" / ("e" * 40)
    stale.mkdir(parents=True)
    (stale / "requirements.txt").write_text("numpy\n")
    listed = run_algo("local", "env", "list").stdout
    assert "eeeeeeeeeeee" in listed
    assert "numpy" in listed
    done = run_algo("local", "prune", "--dry-run")
    assert "eeeeeeeeeeee" in done.stdout
    assert "Would free" in done.stderr
    assert stale.is_dir()
    found = json.loads(run_algo("local", "prune", "--json").stdout)
    assert (found["dry_run"], found["partial"]) == (False, False)
    assert [(one["kind"], one["name"]) for one in found["removed"]] == [("environment", f"environments/{'e' * 40}")]
    assert not stale.exists()
    done = run_algo("local", "build", "remove", "acme/Greet", "zzzz")
    assert (done.returncode, "no build 'zzzz'" in done.stderr) == (ExitCode.NOT_FOUND, True)
    done = run_algo("local", "data", "remove", "acme/Greet")
    assert (done.returncode, "--yes" in done.stderr) == (ExitCode.USAGE, True)
    assert (
        run_algo("local", "data", "remove", "acme/Greet", "--yes").stdout == "Removed the data of acme/Greet (0.0 MB)\n"
    )


def test_without_any_configuration_algo_is_at_home_on_the_embedded_platform(run_algo: Algo) -> None:
    done = run_algo("ls")
    assert "Using the embedded platform on this machine; 'algo auth' configures another." in done.stderr
    assert done.stdout.split()[0].rstrip("/") == "jane"
    done = run_algo("run", "demo/Hello", "-d", "HAL 9000")
    assert done.stdout == "Hello HAL 9000\n"
