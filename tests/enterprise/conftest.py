"""Acme: an environment with the bundle in it, the company's platform and archive behind the company's CA."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from support.environments import ROOT, STANDARD, Environment, wheels_of

from algo_core.testing import Home, Platform, Served

BUNDLE = ROOT / "examples" / "acme_bundle"

_SPEC = importlib.util.spec_from_file_location("acme_servers", BUNDLE / "tests" / "servers.py")
assert _SPEC
assert _SPEC.loader
servers = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(servers)


@pytest.fixture(scope="session")
def acme_environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment into which somebody at Acme has installed the bundle, from wheels."""
    wheels = wheels_of(tmp_path_factory, *STANDARD)
    (wheel,) = wheels_of(tmp_path_factory, "examples/acme_bundle").glob("*.whl")
    environment = Environment(tmp_path_factory.mktemp("acme") / "venv", wheels)
    environment.install(f"{wheel}[test]", "algo-local")
    return environment


@pytest.fixture(scope="session")
def company_ca(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    """The company's CA, and its certificate as a file."""
    authority = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "company.pem"
    authority.cert_pem.write_to_path(str(path))
    return authority, path


@pytest.fixture(scope="session")
def company_platform(
    acme_environment: Environment, company_ca: tuple[trustme.CA, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """The company's platform, with the account `jane`."""
    folder = tmp_path_factory.mktemp("platform")
    certificate = company_ca[0].issue_cert("127.0.0.1")
    chain, key = folder / "chain.pem", folder / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(str(chain))
    certificate.private_key_pem.write_to_path(str(key))
    platform = Platform(Home(folder / "home", program=acme_environment.bin / "algo"))
    yield platform.serve("jane", tls=(chain, key))
    platform.close()


@pytest.fixture(scope="session")
def archive(
    company_platform: Served, company_ca: tuple[trustme.CA, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """The company's archive; who is logged in to the platform is to the archive as well."""
    server = servers.ArchiveServer(tmp_path_factory.mktemp("archive"), company_platform.key, company_ca[0])
    yield server
    server.close()


@pytest.fixture
def acme_table(company_platform: Served, archive: Any, company_ca: tuple[trustme.CA, Path], tmp_path: Path) -> str:
    """What the administrator's file says of the company."""
    (tmp_path / "token").write_text(company_platform.key)
    members = {
        "address": company_platform.address,
        "archive": archive.address,
        "ca_cert": str(company_ca[1]),
        "token_file": str(tmp_path / "token"),
    }
    return "[acme]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in members.items())


@pytest.fixture
def jane(acme_environment: Environment, acme_table: str, tmp_path: Path) -> Home:
    """The home of somebody at Acme, who has configured nothing."""
    home = Home(tmp_path / "home", program=acme_environment.bin / "algo")
    home.write_site_config(acme_table)
    return home
