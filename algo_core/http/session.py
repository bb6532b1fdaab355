"""A profile's HTTP session, and what is known of it before it has to be opened."""

from __future__ import annotations

import contextlib
from _thread import LockType, allocate_lock
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from algo_core.errors import ConfigError
from algo_core.settings.profiles import check_ca_file

if TYPE_CHECKING:
    from algo_core.http.requests_transport import AlgoSession
    from algo_core.settings.profile import Profile

    _StoodFor = AlgoSession
else:
    _StoodFor = object  # the session itself would have to be imported

OnExchange = Callable[[str, str, "int | None", float], None]
"""Told of each exchange: method, address, status if there was an answer, seconds."""


class DeferredSession(_StoodFor):
    """Stands for a profile's requests session, which is opened when something needs it.

    Opening it means importing requests and urllib3, which is half of what a short command takes. A plain exchange needs
    neither (`algo_core.http.direct`); whatever else is asked of the session, or set on it, opens it: mounting an
    adapter, adding a header, sending a request. `profile`, `timeout` (connect and read, in seconds), `retries` and
    `on_exchange` can be read and set without.
    """

    def __init__(
        self, profile: Profile, *, timeout: tuple[float, float], retries: int, on_exchange: OnExchange | None = None
    ) -> None:
        facts: dict[str, Any] = {
            "profile": profile,
            "timeout": timeout,
            "retries": retries,
            "on_exchange": on_exchange,
            "closing": contextlib.ExitStack(),
            "_opened": None,
            "_turn": allocate_lock(),
        }
        self.__dict__.update(facts)

    if TYPE_CHECKING:
        closing: contextlib.ExitStack
        """What is done before the connections are closed."""
        _opened: AlgoSession | None
        _turn: LockType

    @property
    def is_open(self) -> bool:
        """Whether something has needed the session."""
        return self._opened is not None

    def opened(self) -> AlgoSession:
        """The session itself."""
        with self._turn:  # one for all threads
            if self._opened is None:
                from algo_core.http.requests_transport import AlgoSession

                self.__dict__["_opened"] = AlgoSession(
                    self.profile, timeout=self.timeout, retries=self.retries, on_exchange=self.on_exchange
                )
                assert self._opened
            return self._opened

    @property  # type: ignore[misc]  # for `isinstance`: what it stands for
    def __class__(self) -> type[AlgoSession]:  # type: ignore[override]  # see above
        from algo_core.http.requests_transport import AlgoSession

        return AlgoSession

    def __getattr__(self, name: str) -> Any:
        return getattr(self.opened(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__:
            self.__dict__[name] = value
        if name not in self.__dict__ or self.is_open:
            setattr(self.opened(), name, value)

    def __enter__(self) -> DeferredSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.closing.close()
        if self._opened:
            self._opened.close()


def open_session(
    profile: Profile,
    *,
    timeout: tuple[float, float],
    retries: int,
    configure: Callable[[DeferredSession, Profile], None],
    on_exchange: OnExchange | None = None,
) -> DeferredSession:
    """The session for a profile; `configure` lets plugins mount adapters (the hook `algo_configure_session`).

    `timeout` is (connect, read) in seconds.

    Raises:
        ConfigError: if the CA file is wrong, or nothing is there that can reach the profile's address.
    """
    if profile.ca_cert:
        check_ca_file(profile.ca_cert, profile.ca_cert_origin or profile.origin)
    session = DeferredSession(profile, timeout=timeout, retries=retries, on_exchange=on_exchange)
    configure(session, profile)
    if not profile.address.startswith(("http://", "https://")) and not session.opened().reaches(profile.address):
        raise ConfigError(
            f"No installed plugin can reach {profile.address} (profile {profile.name})",
            "Addresses 'local:' come with: pip install algo-local",
        )
    return session
