"""Errors, entries, profiles and credentials as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from algo_core import errors
from algo_core.errors import AlgoError
from algo_core.settings.credentials import Credential, Secret
from algo_core.settings.profile import Network, Profile
from algo_core.storage import contract
from algo_core.storage.contract import Checksum, Entry, Kind
from algo_core.storage.uri import DataUri


def dump_error(error: AlgoError) -> dict[str, Any]:
    """An error with its public attributes."""
    names = getattr(error, "names", None)
    entry = getattr(error, "entry", None)
    return {
        "types": [kind.__name__ for kind in type(error).__mro__],
        "message": error.message,
        "hint": error.hint,
        "exit_code": int(error.exit_code),
        "status": error.status,
        "names": sorted(names) if names else [],
        "entry": dump_entry(entry) if entry else None,
    }


def load_error(members: dict[str, Any]) -> AlgoError:
    """The same error; a class that this process does not know becomes the nearest one that it knows."""
    known = (getattr(contract, name, None) or getattr(errors, name, None) for name in members["types"])
    kind = next(found for found in known if isinstance(found, type) and issubclass(found, AlgoError))
    error = kind.__new__(kind)
    AlgoError.__init__(error, members["message"], members["hint"])
    error.exit_code, error.status = members["exit_code"], members["status"]
    if isinstance(error, contract.IncompleteListing):
        error.names = frozenset(members["names"])
    if isinstance(error, contract.NotADirectory):
        error.entry = load_entry(members["entry"]) if members["entry"] else None
    if isinstance(error, errors.PluginError):
        error.details = None
    return error


def dump_entry(entry: Entry) -> list[Any]:
    """An entry."""
    modified = entry.modified.isoformat() if entry.modified else None
    return [entry.uri, entry.kind.value, entry.size, modified, entry.checksum, entry.version]


def load_entry(members: list[Any]) -> Entry:
    """The same entry."""
    uri, kind, size, modified, checksum, version = members
    return Entry(
        DataUri(*uri),
        Kind(kind),
        size,
        datetime.fromisoformat(modified) if modified else None,
        Checksum(*checksum) if checksum else None,
        version,
    )


def dump_credential(credential: Credential | None) -> list[Any] | None:
    """A credential, with its secret."""
    if credential is None:
        return None
    return [credential.kind, credential.secret.reveal(), credential.origin, credential.expires_at]


def load_credential(members: list[Any] | None) -> Credential | None:
    """The same credential."""
    return Credential(members[0], Secret(members[1]), members[2], members[3]) if members else None


def dump_profile(profile: Profile | None) -> dict[str, Any] | None:
    """A profile, with its credential."""
    if profile is None:
        return None
    members = {**profile._asdict(), "credential": dump_credential(profile.credential)}
    return {**members, "network": {**profile.network._asdict(), "origins": dict(profile.network.origins)}}


def load_profile(members: dict[str, Any] | None) -> Profile | None:
    """The same profile."""
    if members is None:
        return None
    credential, network = load_credential(members["credential"]), Network(**members["network"])
    return Profile(**{**members, "credential": credential, "network": network})
