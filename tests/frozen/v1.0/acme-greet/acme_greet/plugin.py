"""What this plugin adds to `algo`. It is loaded often: import nothing heavy here."""

from __future__ import annotations

from algo_core import Command, DoctorCheck, hookimpl

ALGO_API = ">=1,<2"


@hookimpl
def algo_commands() -> list[Command]:
    """`algo acme-greet`."""
    return [
        Command(
            "acme-greet",
            "acme_greet.commands:run",
            help="Greet somebody.",
            group="Acme greet",
        )
    ]


@hookimpl
def algo_doctor_checks() -> list[DoctorCheck]:
    """What `algo doctor` says about this plugin."""
    return [DoctorCheck("acme-greet", _check)]


def _check() -> tuple[bool, str]:
    from importlib.metadata import version

    return True, f"version {version('acme-greet')}"
