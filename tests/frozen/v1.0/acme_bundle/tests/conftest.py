"""The archive, and a home that knows where it is from the administrator's file."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from algo_core.testing import Home

_SPEC = importlib.util.spec_from_file_location("acme_tests_servers", Path(__file__).with_name("servers.py"))
assert _SPEC
assert _SPEC.loader
servers = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(servers)

TOKEN = "sim" + "a" * 25


@pytest.fixture(scope="session")
def archive_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    server = servers.ArchiveServer(tmp_path_factory.mktemp("archive"), TOKEN)
    yield server
    server.close()


@pytest.fixture
def acme(algo_home: Home, archive_server: Any, tmp_path: Path) -> Home:
    """A home at Acme: logged in, and with the administrator's file."""
    token_file = tmp_path / "token"
    token_file.write_text(TOKEN + "\n")
    members = {
        "archive": archive_server.address,
        "ca_cert": str(archive_server.write_ca(tmp_path / "ca.pem")),
        "token_file": str(token_file),
    }
    algo_home.write_site_config("[acme]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in members.items()))
    return algo_home
