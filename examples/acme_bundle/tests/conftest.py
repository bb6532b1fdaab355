"""Acme's servers, and a home whose administrator's file says where they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from acme_servers import ArchiveServer, LoginProvider

from algo_core.testing import Home

TOKEN = "an access token"


@pytest.fixture(scope="session")
def archive_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveServer]:
    server = ArchiveServer(tmp_path_factory.mktemp("archive"), TOKEN.__eq__)
    yield server
    server.close()


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoginProvider]:
    """The company's OpenID provider."""
    server = LoginProvider(tmp_path_factory.mktemp("provider"), interval=1)
    yield server
    server.close()


@pytest.fixture
def session_file(algo_home: Home) -> Path:
    """Where the log-in is kept."""
    return algo_home.root / ".acme" / "session.json"


@pytest.fixture
def at_acme(
    algo_home: Home, archive_server: ArchiveServer, provider: LoginProvider, session_file: Path, tmp_path: Path
) -> Home:
    """A home at Acme, where nobody has logged in."""
    members = {
        "archive": archive_server.address,
        "ca_cert": str(archive_server.write_ca(tmp_path / "ca.pem")),
        "issuer": provider.issuer,
        "session_file": str(session_file),
    }
    algo_home.write_site_config("[acme]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in members.items()))
    return algo_home


@pytest.fixture
def acme(at_acme: Home, session_file: Path) -> Home:
    """A home at Acme where somebody has logged in to the archive."""
    keep(session_file, access_token=TOKEN)
    return at_acme


def keep(session_file: Path, **members: Any) -> None:
    session_file.parent.mkdir(mode=0o700, exist_ok=True)
    session_file.write_text(json.dumps(members))
