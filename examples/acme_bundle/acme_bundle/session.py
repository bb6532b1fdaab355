"""The log-in on this machine: a file that only its owner can read, shared by all processes that run at the time."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from algo_core.errors import AlgoError, ConfigError
from algo_core.files import replacing
from algo_core.locks import locked
from algo_core.settings.credentials import Credential, Secret


def early(lifetime: float) -> float:
    """How long before it runs out an access token is renewed, by its lifetime; both in seconds."""
    return min(60.0, lifetime / 4)


class Session(NamedTuple):
    """What the provider gave: a token for requests, and one to get others.

    `expires_at` is when the first one runs out, `renew_at` when it is to be renewed, in seconds since 1970.
    """

    access_token: Secret
    refresh_token: Secret | None
    expires_at: float | None = None
    renew_at: float | None = None

    def credential(self, origin: str) -> Credential:
        """What requests carry."""
        return Credential("bearer_token", self.access_token, origin, self.expires_at)

    @property
    def is_valid(self) -> bool:
        """Whether its access token has not run out."""
        return self.expires_at is None or time.time() < self.expires_at

    def lasts(self, refused: Secret | None) -> bool:
        """Whether its access token can be used: it was not refused, and need not be renewed now."""
        return self.access_token != refused and (self.renew_at is None or time.time() < self.renew_at)


class SessionFile:
    """The file of the log-in."""

    def __init__(self, path: str) -> None:
        self.path = path

    def read(self) -> Session | None:
        """The session, if there is one.

        Raises:
            ConfigError: if the file cannot be read, or holds something else.
        """
        try:
            members = json.loads(Path(self.path).read_text("utf-8"))
            refresh = members.get("refresh_token")
            times = (members.get(name) for name in ("expires_at", "renew_at"))
            return Session(
                Secret(str(members["access_token"])),
                Secret(str(refresh)) if refresh else None,
                *(None if at is None else float(at) for at in times),
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"Cannot read {self.path}: {error.strerror}", "Log in with: algo acme login") from None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ConfigError(f"{self.path} holds no log-in", "Log in with: algo acme login") from None

    def write(self, session: Session) -> None:
        """Keep a session, for its owner alone.

        Raises:
            ConfigError: if the file cannot be written.
        """
        members = {
            "access_token": session.access_token.reveal(),
            "refresh_token": session.refresh_token.reveal() if session.refresh_token else None,
            "expires_at": session.expires_at,
            "renew_at": session.renew_at,
        }
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
            with replacing(self.path, mode=0o600, durable=True) as file:
                file.write(json.dumps(members).encode())
        except OSError as error:
            raise ConfigError(f"Cannot keep the log-in in {self.path}: {error.strerror}") from None

    def forget(self) -> None:
        """Remove the session, if there is one."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def usable(self, refresh: Callable[[Secret], Session | None], refused: Secret | None = None) -> Session | None:
        """A session whose access token can be used: this one, or one that `refresh` gets with its refresh token.

        One process asks while the others wait, and find what it got: a refresh token often counts once. Where `refresh`
        gives None the log-in is over, and forgotten.

        Raises:
            ConfigError: if the file cannot be read or written.
            AlgoError: what `refresh` raises, if there is no token that can be used without it.
        """
        session = self.read()
        if session is None or session.lasts(refused):
            return session
        with locked(f"{self.path}.lock"):
            session = self.read()
            if session is None or session.lasts(refused):
                return session
            try:
                renewed = refresh(session.refresh_token) if session.refresh_token else None
            except AlgoError:
                if session.access_token != refused and session.is_valid:
                    return session  # the provider may be back before it runs out
                raise
            if renewed is None:
                self.forget()
            else:
                self.write(renewed)
            return renewed
