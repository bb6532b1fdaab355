"""Starts the OpenID provider, and does in a browser's place what a person does there."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import requests

SECONDS = 60.0

USER, PASSWORD = "jane", "correct horse battery staple"
GATEWAY = ("gateway", "a secret between the gateway and the provider")


class LoginProvider:
    """The provider as a process; `interval` and `lifetime` (of access tokens) are in seconds."""

    def __init__(
        self, directory: Path, *, python: Path | str = sys.executable, interval: int = 0, lifetime: int = 3600
    ) -> None:
        directory.mkdir(exist_ok=True)
        (directory / "provider.json").write_text(json.dumps({"interval": interval, "lifetime": lifetime}))
        self._directory = directory
        self._process = subprocess.Popen(
            [python, Path(__file__).with_name("provider.py"), directory],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout
        self.issuer = self._process.stdout.readline().strip()
        assert self.issuer, "the provider did not start"

    def decide(self, address: str, code: str, action: str = "accept") -> None:
        """Open the address, log in as Jane, give the code, and accept or deny."""
        browser = requests.Session()
        page = self._fill(browser, address, username=USER, password=PASSWORD)
        page = self._fill(browser, page, user_code=code)
        self._fill(browser, page, action=action)

    @contextmanager
    def confirming(self) -> Iterator[None]:
        """Meanwhile Jane sits before her browser, and confirms whatever asks for it."""
        done = threading.Event()

        def confirm() -> None:
            while not done.wait(0.05):
                with closing(sqlite3.connect(self.database)) as database:
                    pending = "SELECT user_code FROM oauth2_provider_devicegrant WHERE status = 'authorization-pending'"
                    codes = [code for (code,) in database.execute(pending)]
                for code in codes:
                    self.decide(f"{self.issuer}/device/", code)

        thread = threading.Thread(target=confirm)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _fill(self, browser: requests.Session, address: str, **fields: str) -> str:
        """Fill in a page's form; the address of the next page."""
        page = browser.get(address, timeout=SECONDS)
        found = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert found, page.text
        fields["csrfmiddlewaretoken"] = found[1]
        done = browser.post(page.url, data=fields, headers={"Referer": page.url}, timeout=SECONDS)
        done.raise_for_status()
        return done.url

    def is_active(self, token: str) -> bool:
        """Whether an access token counts (RFC 7662)."""
        done = requests.post(f"{self.issuer}/introspect/", auth=GATEWAY, data={"token": token}, timeout=SECONDS)
        return bool(done.json()["active"])

    def revoke(self, token: str) -> None:
        """End a token, as the company does when somebody leaves."""
        data = {"client_id": "algo", "token": token}
        requests.post(f"{self.issuer}/revoke_token/", data=data, timeout=SECONDS).raise_for_status()

    @property
    def database(self) -> Path:
        """What it knows, an SQLite file."""
        return self._directory / "provider.sqlite"

    @property
    def notes(self) -> list[dict[str, Any]]:
        """All requests for tokens so far: `grant` and `error`."""
        path = self._directory / "tokens.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def count(self, grant: str) -> int:
        """How many tokens were given by a grant."""
        return sum(note == {"grant": grant, "error": None} for note in self.notes)

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(SECONDS)
        assert self._process.stdout
        self._process.stdout.close()
