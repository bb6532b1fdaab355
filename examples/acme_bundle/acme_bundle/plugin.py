"""What this plugin adds to `algo`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algo_core import AlgoError, Connector, DoctorCheck, ExitCode, Profile, hookimpl

if TYPE_CHECKING:
    from algo_core.settings.credentials import Credential

ALGO_API = ">=1,<2"

ORIGIN = "acme-bundle"
HELP_DESK = "helpdesk@acme.example"
ASK_FOR = frozenset({ExitCode.CONFIGURATION, ExitCode.AUTHENTICATION, ExitCode.NETWORK, ExitCode.PLATFORM})
"""Exit codes that the help desk can do something about: configuration, permission, network, platform."""


@hookimpl
def algo_connectors() -> list[Connector]:
    """`acme://`."""
    return [Connector("acme", "acme_bundle.archive:open_archive", "Files of the Acme archive.")]


@hookimpl
def algo_default_profile(name: str) -> Profile | None:
    """The company's platform, for whoever has configured no other."""
    if name not in {"default", "acme"}:
        return None
    from acme_bundle.company import company

    found = company()
    return Profile(name, found.address, ca_cert=found.ca_cert, ca_cert_origin=ORIGIN, origin=ORIGIN)


@hookimpl
def algo_credentials(profile: Profile) -> Credential | None:
    """What the company's log-in has left on this machine, for the company's platform only."""
    from acme_bundle.company import company

    found = company()
    token = found.token() if profile.address == found.address else None
    if token is None:
        return None
    from algo_core.settings.credentials import classify

    return classify(token, origin=found.token_file)


@hookimpl
def algo_error_hints(error: AlgoError) -> str | None:
    """Who can help."""
    return f"The help desk knows more: {HELP_DESK}" if error.exit_code in ASK_FOR else None


@hookimpl
def algo_doctor_checks() -> list[DoctorCheck]:
    """Whether the archive can be reached."""

    def check() -> tuple[bool, str]:
        from acme_bundle.checks import check_archive

        return check_archive()

    return [DoctorCheck("acme archive", check)]
