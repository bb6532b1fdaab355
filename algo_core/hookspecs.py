"""The hooks: every way in which a plugin can take part.

A plugin is a module that an installed distribution names in the entry-point group `algo.plugins`. It implements any of
the functions below, each marked with `hookimpl`:

    from algo_core import Command, hookimpl

    @hookimpl
    def algo_commands():
        return [Command("greet", "acme.commands:greet", help="Greet somebody.")]

The module is loaded once after an install, to learn what it has, and afterwards only when one of its hooks is called or
one of its commands runs: import nothing heavy in it. An implementation may leave out arguments that it does not need.
Whatever one raises, `SystemExit` included, is reported once with the distribution's name and version, and the others go
on; only Ctrl-C ends the command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

from algo_core.types import Command, Connector, DoctorCheck, Profile

if TYPE_CHECKING:
    import requests

    from algo_core.credentials import Credential
    from algo_core.errors import AlgoError

PROJECT = "algo"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin module as the implementation of the hook that has its name."""


@hookspec
def algo_commands() -> list[Command]:  # type: ignore[empty-body]  # a specification has no body
    """Subcommands that this plugin adds.

    Called once after an install or a change of the plugin's files; the answer is kept in the index, so that
    `algo --help` and completion need no plugin. A name that is built in is refused; a name that two plugins claim is
    given to neither.

        @hookimpl
        def algo_commands():
            return [Command("greet", "acme.commands:greet", help="Greet somebody.", group="Acme")]
    """


@hookspec
def algo_connectors() -> list[Connector]:  # type: ignore[empty-body]  # a specification has no body
    """URI schemes that this plugin opens as a storage.

    Called when `algo_commands` is; kept in the index as well. A scheme that two plugins claim is an error that names
    both when a URI with it is used.

        @hookimpl
        def algo_connectors():
            return [Connector("acme", "acme.storage:open_acme", help="Files of the Acme archive.")]
    """


@hookspec(firstresult=True)
def algo_default_profile(name: str) -> Profile | None:
    """A profile for a name that nobody has configured: a company's preset, else the embedded platform.

    Called when a command needs a profile and neither the configuration nor the environment has it. The first answer
    that is not None counts; `hookimpl(trylast=True)` leaves others the first word.

        @hookimpl
        def algo_default_profile(name):
            if name == "default":
                return Profile(name, "https://api.acme.example", origin="acme-algo")
    """


@hookspec(firstresult=True)
def algo_credentials(profile: Profile) -> Credential | None:
    """A credential for a profile that has none of its own: from a vault, a ticket, a company's login.

    Called once per command, after the environment and the profile were looked at. The first answer that is not None
    counts.

        @hookimpl
        def algo_credentials(profile):
            if profile.address == "https://api.acme.example":
                return classify(acme_login_token(), origin="acme-login")
    """


@hookspec
def algo_configure_session(session: requests.Session, profile: Profile) -> None:
    """Change the HTTP session before its first request: mount adapters, add headers, set `auth`.

    Called once per session, with the profile that it is for. Secrets belong into `session.auth`, which is dropped when
    a redirect leads to another host; custom headers are not.

        @hookimpl
        def algo_configure_session(session, profile):
            session.headers["X-Cost-Centre"] = "4711"
    """


@hookspec
def algo_error_hints(error: AlgoError) -> str | None:
    """One more line of advice under an error that is about to be shown.

    Called once, when a command has failed. None adds nothing.

        @hookimpl
        def algo_error_hints(error):
            if error.exit_code == 4:
                return "Keys are given out by helpdesk@acme.example"
    """


@hookspec
def algo_doctor_checks() -> list[DoctorCheck]:  # type: ignore[empty-body]  # a specification has no body
    """Checks that `algo doctor` runs besides its own.

    Called by `algo doctor` only. A check's `run` returns whether all is well, and one line that says what was found.

        @hookimpl
        def algo_doctor_checks():
            return [DoctorCheck("acme archive", lambda: (True, "reachable"))]
    """
