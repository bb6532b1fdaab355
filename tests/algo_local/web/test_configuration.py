"""A configuration error behind the embedded platform stays one; to others a platform that is set up wrongly has failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from algo_core.errors import ConfigError, ExitCode
from algo_core.testing import Home
from algo_local.platform import Platform
from algo_local.web.app import Application
from algo_local.web.http import Request

LS, RUN = ("ls",), ("run", "demo/Hello", "-d", "x")
WRONG: dict[str, tuple[str, tuple[str, ...]]] = {
    "ALGO_LOCAL_MEMORY": ("much", RUN),
    "ALGO_LOCAL_PROCESSES": ("-1", RUN),
    "ALGO_LOCAL_SANDBOX": ("perhaps", RUN),
    "ALGO_LOCAL_SANDBOX_PATHS": ("not/absolute", RUN),
    "ALGO_LOCAL_RECORD_DAYS": ("some", RUN),
    "ALGO_LOCAL_ROOT": ("/dev/null", LS),
}


@pytest.mark.parametrize("name", WRONG)
def test_it_is_the_persons_own_to_correct(algo_home: Home, name: str) -> None:
    value, words = WRONG[name]
    result = algo_home.run(*words, "--json", environ={name: value})
    assert result.code == ExitCode.CONFIGURATION, result
    assert result.error["type"] == "ConfigError"
    assert name in result.error["message"] + result.error["hint"]
    assert result.error["hint"]


def test_a_state_that_is_no_database_is_one(algo_home: Home) -> None:
    assert algo_home.run("mkdir", ".my/c").code == ExitCode.OK
    (database,) = Path(algo_home.environ["ALGO_LOCAL_ROOT"]).glob("*.sqlite3")
    for file in database.parent.glob(f"{database.name}-*"):
        file.unlink()
    database.write_bytes(b"not a database at all, and long enough to be looked at" * 99)
    result = algo_home.run("ls", ".my")
    assert result.code == ExitCode.CONFIGURATION, result
    assert "is not the embedded platform's database" in result.stderr


def test_who_is_served_is_told_that_the_platform_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = Platform(tmp_path / "state")
    request = Request("GET", "/v1/data/", {}, None, 0)

    def misconfigured(*arguments: object, **options: object) -> None:
        raise ConfigError("ALGO_LOCAL_MEMORY is wrong", "Correct it")

    monkeypatch.setattr("algo_local.web.app.authorize", misconfigured)
    with pytest.raises(ConfigError):
        Application(platform, trusted=True).answer(request)
    assert Application(platform).answer(request).status == 500
