"""The fixtures of `algo_core.testing` do what their documentation says."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from algo_core.errors import ExitCode
from algo_core.testing import Home, Platform, Result


def test_a_home_has_nothing_of_the_person_who_runs_the_tests(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ALGORITHMIA_API_KEY", "sim" + "p" * 25)
    monkeypatch.setenv("ALGO_PROFILE", "mine")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    home = Home(tmp_path / "home")
    listed = {row["key"]: row for row in home.run("config", "list", "--json").json}
    assert listed["profile"] == {"key": "profile", "value": "default", "origin": "default"}
    assert "api_key" not in listed
    assert os.environ["HOME"] != str(home.root)
    assert "https_proxy" not in home.environ


def test_invoke_runs_the_real_entry_point(invoke: Callable[..., Result], algo_home: Home) -> None:
    algo_home.write_config('profile = "elsewhere"\n')
    assert invoke("config", "get", "profile").text == "elsewhere\n"
    failed = invoke("--json", "nonsense")
    assert (failed.code, failed.error["type"]) == (ExitCode.USAGE, "UsageError")
    assert invoke("config", "get", "profile", environ={"ALGO_PROFILE": "here"}).text == "here\n"


def test_completion_is_asked_for_as_a_shell_does(algo_home: Home) -> None:
    assert algo_home.complete("conf") == ["config"]
    assert algo_home.complete("config", "get", "insecure") == ["insecure_http"]
    assert "profile" in algo_home.complete("")


def test_the_platform_is_the_default_profile(algo_platform: Platform, invoke: Callable[..., Result]) -> None:
    assert invoke("mkdir", ".my/things").code == ExitCode.OK
    assert "things" in invoke("ls", ".my").text
    assert invoke("profile", "show", "--json").json["address"] == "local:"


def test_the_platform_can_be_served(algo_platform: Platform, algo_home: Home) -> None:
    served = algo_platform.serve("alice")
    assert "alice" in algo_home.run("ls", environ=served.environ).text
    headers = {"Authorization": f"Simple {served.key}"}
    assert requests.get(f"{served.address}/v1/data/", headers=headers, timeout=60).status_code == 200
    assert requests.get(f"{served.address}/v1/data/", timeout=60).status_code == 401
    algo_platform.close()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{served.address}/v1/data/", timeout=60)


def test_a_platform_that_cannot_be_served_says_why(algo_platform: Platform, tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    with pytest.raises(AssertionError, match=r"cert\.pem"):
        algo_platform.serve(tls=(tmp_path / "cert.pem", tmp_path / "cert.pem"))
