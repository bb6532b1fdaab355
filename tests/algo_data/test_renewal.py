"""Copies over credentials that live for some requests only."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from algo_core.errors import ExitCode

LIFETIME = 100
NAMES = [f"f{number:04}" for number in range(1500)]


class TicketOffice:
    """A `credential_command` that gives out one ticket after the other; the platform takes the newest, for a while."""

    def __init__(self, folder: Path) -> None:
        self.given = folder / "given"
        self.given.write_text("")
        script = folder / "office.py"
        script.write_text(
            f"open({str(self.given)!r}, 'a').write('x')\n"
            f"print('ticket-' + str(len(open({str(self.given)!r}).read())))\n"
        )
        self.command = [sys.executable, str(script)]
        self.used: dict[str, int] = {}
        self.lock = threading.Lock()

    @property
    def count(self) -> int:
        return len(self.given.read_text())

    def refuses(self, handler: Any) -> bool:
        shown = handler.headers.get("Authorization", "").rpartition(" ")[2]
        with self.lock:
            if shown == f"ticket-{self.count}" and self.used.get(shown, 0) < LIFETIME:
                self.used[shown] = self.used.get(shown, 0) + 1
                return False
        handler._body()
        handler.answer(401, b'{"error": {"message": "authorization required"}}')
        return True


@pytest.fixture
def office(home, data_platform, tmp_path) -> TicketOffice:
    made = TicketOffice(tmp_path)
    words = ", ".join(f'"{word}"' for word in made.command)
    home.write_config(f'[profiles.default]\naddress = "{data_platform.address}"\ncredential_command = [{words}]\n')
    for name in ("ALGORITHMIA_API_KEY", "ALGORITHMIA_API"):
        home.environ.pop(name, None)
    for method in ("GET", "PUT", "HEAD", "POST"):
        data_platform.fail(method, "", made.refuses, times=10**9)
    return made


@pytest.mark.parametrize("is_down", [True, False])
def test_many_files_arrive_with_a_bounded_number_of_log_ins(home, data_platform, work, office, is_down):
    if is_down:
        data_platform.files |= {f"data/.my/c/{name}": name.encode() for name in NAMES}
        result = home.run("cp", "data://.my/c/*", work)
        arrived = {path.name: path.read_bytes() for path in work.iterdir()}
    else:
        for name in NAMES:
            (work / name).write_text(name)
        result = home.run("cp", *(work / name for name in NAMES), "data://.my/c")
        arrived = {name.rpartition("/")[2]: content for name, content in data_platform.files.items()}
    assert result.code == ExitCode.OK, result.stderr
    assert arrived == {name: name.encode() for name in NAMES}
    assert len(NAMES) // LIFETIME <= office.count <= 3 * len(NAMES) // LIFETIME


def test_a_large_upload_is_sent_again(home, data_platform, work, office):
    content = bytes(range(256)) * 40_000
    (work / "large").write_bytes(content)
    office.used["ticket-1"] = LIFETIME
    result = home.run("cp", work / "large", "data://.my/c/large")
    assert result.code == ExitCode.OK, result.stderr
    assert data_platform.files["data/.my/c/large"] == content
    assert office.count == 2


def test_a_piped_upload_is_sent_again(home, data_platform, office):
    office.used["ticket-1"] = LIFETIME
    result = home.run("cp", "-", "data://.my/c/piped", input=b"x" * 3_000_000)
    assert result.code == ExitCode.OK, result.stderr
    assert data_platform.files["data/.my/c/piped"] == b"x" * 3_000_000
