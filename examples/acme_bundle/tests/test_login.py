"""Logging in at the company's OpenID provider, and the tokens that this leaves."""

from __future__ import annotations

import json
import re
import sqlite3
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from acme_bundle.company import company
from acme_bundle.session import Session, SessionFile, early
from acme_bundle.sso import DeviceCode, Provider, Refused, wait
from acme_servers import LoginProvider
from conftest import keep

from algo_core import App
from algo_core.errors import AlgoError, AuthError, ExitCode, NetworkError, PlatformError
from algo_core.settings.credentials import Secret
from algo_core.testing import Home

SECONDS = 60.0
CODE = DeviceCode(Secret("device"), "ABCD", "https://login", None, 5.0, 100.0)
SESSION = Session(Secret("access"), Secret("refresh"))
PENDING, SLOWER = Refused("authorization_pending", ""), Refused("slow_down", "")


class Clock:
    """Time that passes while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def asked(answers: list[Any], clock: Clock) -> Session:
    """Waits for a log-in; `answers` are the provider's, the last of which it repeats."""

    def redeem() -> Session:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    return wait(redeem, CODE, sleep=clock.sleep, clock=clock)


@pytest.mark.parametrize(
    ("answers", "pauses"),
    [
        ([SESSION], [5]),
        ([PENDING, PENDING, SESSION], [5, 5, 5]),
        ([SLOWER, PENDING, SLOWER, SESSION], [5, 10, 10, 15]),
        ([NetworkError("cut"), NetworkError("cut"), SESSION], [5, 10, 20]),
    ],
)
def test_the_provider_is_asked_as_often_as_it_allows(answers: list[Any], pauses: list[float]) -> None:
    clock = Clock()
    assert asked(answers, clock) == SESSION
    assert clock.slept == pauses


@pytest.mark.parametrize(
    ("answers", "error", "text"),
    [
        ([PENDING, Refused("access_denied", "")], AuthError, "denied in the browser"),
        ([PENDING, Refused("expired_token", "")], AuthError, "Nobody confirmed the code ABCD in time"),
        ([PENDING], AuthError, "Nobody confirmed the code ABCD in time"),
        ([NetworkError("cut")], AuthError, "Nobody confirmed the code ABCD in time"),
        ([Refused("invalid_client", "who are you")], AuthError, r"invalid_client \(who are you\)"),
        ([PlatformError("odd")], PlatformError, "odd"),
    ],
)
def test_what_ends_the_wait_is_told(answers: list[Any], error: type[AlgoError], text: str) -> None:
    clock = Clock()
    with pytest.raises(error, match=text) as caught:
        asked(answers, clock)
    assert error is PlatformError or "algo acme login" in str(caught.value.hint)
    assert sum(clock.slept) < CODE.expires_in + 100


@pytest.mark.parametrize(("lifetime", "seconds"), [(3600.0, 60.0), (240.0, 60.0), (40.0, 10.0), (0.0, 0.0)])
def test_a_token_is_renewed_before_it_runs_out_however_short_it_lives(lifetime: float, seconds: float) -> None:
    assert early(lifetime) == seconds


@pytest.fixture
def sso(at_acme: Home) -> Iterator[Provider]:
    """The provider as the bundle sees it."""
    app = App(at_acme.environ)
    provider = Provider(app, company(app))
    yield provider
    provider.close()


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(Refused) as caught:
        action()
    return caught.value.code


def test_each_answer_of_a_real_provider_is_understood(
    sso: Provider, provider: LoginProvider, tmp_path_factory: pytest.TempPathFactory
) -> None:
    code = sso.device_code()
    assert code.interval == 1
    assert code_of(lambda: sso.redeem(code)) == "authorization_pending"
    assert code_of(lambda: sso.redeem(code)) == "slow_down"
    provider.decide(code.address, code.user_code, "deny")
    assert code_of(lambda: sso.redeem(code)) == "access_denied"

    late = sso.device_code()
    with sqlite3.connect(provider.database) as database:
        database.execute(
            "UPDATE oauth2_provider_devicegrant SET expires = '2001-01-01' WHERE user_code = ?", (late.user_code,)
        )
    assert code_of(lambda: sso.redeem(late)) == "expired_token"

    confirmed = sso.device_code()
    assert confirmed.complete_address
    provider.decide(confirmed.complete_address, confirmed.user_code)
    session = sso.redeem(confirmed)
    assert session.expires_at
    assert abs(session.expires_at - time.time() - 3600) < SECONDS
    assert session.refresh_token
    renewed = sso.refresh(session.refresh_token)
    assert renewed
    assert renewed.access_token != session.access_token
    assert sso.refresh(session.refresh_token) is None  # it counts once


def log_in(home: Home, provider: LoginProvider, *flags: str, action: str = "accept") -> tuple[int, str, str]:
    """Types `algo acme login`, and does in a browser what it says: exit code, stdout, stderr."""
    command = home.command("acme", "login", *flags)
    with subprocess.Popen(
        command, env=home.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        said = ""
        while not (found := re.search(r"(http\S+device/)\S* .*?([0-9A-V]{8})\b", said)):
            line = process.stderr.readline()
            assert line, f"it ended: {said}"
            said += line
        provider.decide(found[1], found[2], action)
        out, rest = process.communicate(timeout=SECONDS)
        return process.returncode, out, said + rest


def test_a_log_in_is_kept_for_its_owner_alone_and_shown_nowhere(
    at_acme: Home, provider: LoginProvider, session_file: Path
) -> None:
    code, out, said = log_in(at_acme, provider, "-v")
    assert (code, out) == (ExitCode.OK, "Logged in to https://api.acme.example\n")
    assert stat.S_IMODE(session_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(session_file.parent.stat().st_mode) == 0o700
    kept = json.loads(session_file.read_text())
    assert provider.is_active(kept["access_token"])
    shown = at_acme.run("profile", "show", "--json")
    assert shown.json["credential_origin"] == str(session_file)
    for secret in (kept["access_token"], kept["refresh_token"]):
        assert secret not in out + said + shown.text

    done = at_acme.run("acme", "logout", "--json")
    assert (done.code, done.json) == (ExitCode.OK, {"was_logged_in": True})
    assert not session_file.exists()
    assert not provider.is_active(kept["access_token"])
    assert at_acme.run("acme", "logout").text == "Nobody was logged in\n"


def test_a_log_in_that_is_denied_is_one_of_authentication(
    at_acme: Home, provider: LoginProvider, session_file: Path
) -> None:
    code, out, said = log_in(at_acme, provider, "--json", action="deny")
    assert (code, out) == (ExitCode.AUTHENTICATION, "")
    told = [json.loads(line) for line in said.splitlines()]
    assert told[0]["login"]["address"].startswith(provider.issuer)
    assert told[-1]["error"]["message"] == "The log-in was denied in the browser"
    assert not session_file.exists()


@pytest.mark.parametrize(
    ("issuer", "exit_code"),
    [("http://127.0.0.1:9", ExitCode.NETWORK), ("ftp://login", ExitCode.CONFIGURATION), ("PROVIDER/", None)],
)
def test_an_issuer_that_is_none_is_told(
    at_acme: Home, provider: LoginProvider, issuer: str, exit_code: ExitCode | None
) -> None:
    address = issuer.replace("PROVIDER/", provider.issuer.removesuffix("/o"))
    at_acme.write_site_config(f'[acme]\nissuer = "{address}"\n')
    done = at_acme.run("acme", "login", environ={"ALGO_RETRIES": "0"})
    assert (done.code, done.text) == (exit_code or ExitCode.PLATFORM, "")
    assert "Traceback" not in done.stderr


@pytest.fixture
def logged_in(at_acme: Home, sso: Provider, provider: LoginProvider, session_file: Path) -> dict[str, Any]:
    """A real session on this machine; its members."""
    code = sso.device_code()
    provider.decide(code.address, code.user_code)
    SessionFile(str(session_file)).write(sso.redeem(code))
    members: dict[str, Any] = json.loads(session_file.read_text())
    return members


def test_a_token_that_runs_out_is_renewed_once_by_all_processes(
    at_acme: Home, provider: LoginProvider, logged_in: dict[str, Any], session_file: Path
) -> None:
    keep(session_file, **{**logged_in, "renew_at": time.time() - 1})
    before = provider.count("refresh_token")
    at_acme.run("--help")  # the index is there
    command = at_acme.command("profile", "show", "--json")
    running = [subprocess.Popen(command, env=at_acme.environ, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    shown = {process.communicate(timeout=SECONDS)[0] for process in running}
    assert len(shown) == 1
    kept = json.loads(session_file.read_text())
    assert provider.count("refresh_token") == before + 1
    assert kept["access_token"] != logged_in["access_token"]
    assert stat.S_IMODE(session_file.stat().st_mode) == 0o600


def test_a_log_in_that_the_company_ended_is_forgotten(
    at_acme: Home, provider: LoginProvider, logged_in: dict[str, Any], session_file: Path
) -> None:
    provider.revoke(logged_in["refresh_token"])
    keep(session_file, **{**logged_in, "renew_at": time.time() - 1})
    assert at_acme.run("profile", "show", "--json").json["credential"] is None
    assert not session_file.exists()


@pytest.mark.parametrize(
    ("expires_in", "refused", "is_used"), [(30, None, True), (30, "access", False), (-1, None, False)]
)
def test_a_token_is_used_until_it_runs_out_while_the_provider_is_down(
    tmp_path: Path, expires_in: float, refused: str | None, is_used: bool
) -> None:
    def refresh(token: Secret) -> Session | None:
        raise NetworkError("the provider is down")

    file, now = SessionFile(str(tmp_path / "session.json")), time.time()
    file.write(SESSION._replace(expires_at=now + expires_in, renew_at=now - 1))
    if is_used:
        assert file.usable(refresh) == file.read()
    else:
        with pytest.raises(NetworkError):
            file.usable(refresh, Secret(refused) if refused else None)
    assert file.read()  # it is not forgotten


@pytest.mark.parametrize("text", ["", "{", "[]", '"text"', "{}", '{"access_token": "x", "expires_at": "never"}'])
def test_a_file_that_holds_no_log_in_is_told(at_acme: Home, session_file: Path, text: str) -> None:
    session_file.parent.mkdir(exist_ok=True)
    session_file.write_text(text)
    with pytest.raises(AlgoError, match="holds no log-in"):
        SessionFile(str(session_file)).read()
