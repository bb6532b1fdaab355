"""What this plugin adds to `algo`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from algo_core import AlgoError, Command, Connector, DoctorCheck, ExitCode, PluginSetting, Profile, hookimpl

if TYPE_CHECKING:
    from algo_core import App
    from algo_core.events import Event
    from algo_core.http.transport import Request
    from algo_core.settings.credentials import Credential

ALGO_API = ">=1.1,<2"

HELP_DESK = "helpdesk@acme.example"
ASK_FOR = frozenset({ExitCode.CONFIGURATION, ExitCode.AUTHENTICATION, ExitCode.NETWORK, ExitCode.PLATFORM})
"""Exit codes that the help desk can do something about: configuration, permission, network, platform."""


@hookimpl
def algo_commands() -> list[Command]:
    """`algo acme`, to which other distributions may add."""
    return [
        Command("acme login", "acme_bundle.commands:login", help="Log in to Acme.", group="Acme"),
        Command("acme logout", "acme_bundle.commands:logout", help="End the log-in.", group="Acme"),
    ]


@hookimpl
def algo_settings() -> list[PluginSetting]:
    """Where things are at Acme."""
    from acme_bundle.company import SETTINGS

    return SETTINGS


@hookimpl
def algo_connectors() -> list[Connector]:
    """`acme://`."""
    return [Connector("acme", "acme_bundle.archive:open_archive", "Files of the Acme archive.")]


@hookimpl
def algo_default_profile(name: str, app: App) -> Profile | None:
    """The company's platform, for whoever has configured no other."""
    if name not in {"default", "acme"}:
        return None
    from acme_bundle.company import company

    found = company(app)
    return found.profile(name, found.address)


@hookimpl
def algo_credentials(profile: Profile, refused: Credential | None, app: App) -> Credential | None:
    """The log-in's access token, for the company's platform only; another one where that was refused or runs out."""
    from acme_bundle.company import company

    found = company(app)
    if profile.address != found.address:
        return None
    from acme_bundle.login import current_session

    session = current_session(app.environ, found, refused.secret if refused else None)
    return session.credential(found.session_file) if session else None


@hookimpl
def algo_sign(request: Request, profile: Profile, app: App) -> Mapping[str, str] | None:
    """A signature, where the company has given this machine a key, for the company's platform only."""
    from acme_bundle.company import company

    found = company(app)
    if not found.signing_key or profile.address != found.address:
        return None
    from acme_bundle.signing import signature_headers

    return signature_headers(request, found.signing_key)


@hookimpl
def algo_observe(event: Event, app: App) -> None:
    """A line in the audit log, where the company keeps one."""
    from acme_bundle.company import company

    if path := company(app).audit_log:
        from acme_bundle.audit import note

        note(event, path)


@hookimpl
def algo_error_hints(error: AlgoError) -> str | None:
    """What to do, and who can help."""
    if error.exit_code not in ASK_FOR:
        return None
    advice = f"The help desk knows more: {HELP_DESK}"
    needs_login = error.exit_code == ExitCode.AUTHENTICATION and "algo acme login" not in (error.hint or "")
    return f"Log in with: algo acme login\n{advice}" if needs_login else advice


@hookimpl
def algo_doctor_checks() -> list[DoctorCheck]:
    """Whether the archive can be reached."""

    def check() -> tuple[bool, str]:
        from acme_bundle.checks import check_archive

        return check_archive()

    return [DoctorCheck("acme archive", check)]
