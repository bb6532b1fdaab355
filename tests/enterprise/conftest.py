"""Acme: an environment with the bundle in it, and the company's servers, all but one behind the company's CA.

The OpenID provider gives tokens; the gateway before the platform wants one of them, a certificate and a signature.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from support.environments import ROOT, STANDARD, Environment, wheels_of
from support.shared import made_once, shared_directory

from algo_core.errors import ExitCode
from algo_core.testing import SECONDS, Home, Platform

BUNDLE = ROOT / "examples" / "acme_bundle"
sys.path.append(str(BUNDLE / "tests"))

from acme_servers import ArchiveServer, Gateway, LoginProvider  # noqa: E402  # below the bundle's own tests

SIGNING_KEY = b"a key that Acme gives its machines"


@pytest.fixture(scope="session")
def acme_environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment into which somebody at Acme has installed the bundle and the jobs' commands, from wheels."""
    wheels = wheels_of(tmp_path_factory, *STANDARD)
    examples = wheels_of(tmp_path_factory, "examples/acme_bundle", "examples/acme_jobs")
    bundle, jobs = (next(examples.glob(f"{name}-*.whl")) for name in ("acme_bundle", "acme_jobs"))

    def make(directory: Path) -> None:
        Environment(directory, wheels).install(f"{bundle}[test]", str(jobs), "algo-local")

    return Environment(made_once(shared_directory(tmp_path_factory) / "acme", make), wheels)


@pytest.fixture(scope="session")
def company_ca(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    """The company's CA, and its certificate as a file."""
    authority = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "company.pem"
    authority.cert_pem.write_to_path(str(path))
    return authority, path


@pytest.fixture(scope="session")
def provider(acme_environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoginProvider]:
    """The company's OpenID provider, which knows Jane."""
    python = acme_environment.bin / "python"
    server = LoginProvider(tmp_path_factory.mktemp("provider"), python=python, interval=1)
    yield server
    server.close()


@pytest.fixture(scope="session")
def gateway(
    acme_environment: Environment,
    company_ca: tuple[trustme.CA, Path],
    provider: LoginProvider,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Gateway]:
    """The company's platform, with the account `jane`, behind its gateway."""
    platform = Platform(Home(tmp_path_factory.mktemp("platform") / "home", program=acme_environment.bin / "algo"))
    served = platform.serve("jane")
    server = Gateway(
        served.address,
        served.key,
        provider.is_active,
        company_ca[0],
        signing_key=SIGNING_KEY,
        wants_certificate=True,
    )
    yield server
    server.close()
    platform.close()


@pytest.fixture(scope="session")
def archive(
    provider: LoginProvider, company_ca: tuple[trustme.CA, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ArchiveServer]:
    """The company's archive; who is logged in to the platform is to the archive as well."""
    server = ArchiveServer(tmp_path_factory.mktemp("archive"), provider.is_active, company_ca[0])
    yield server
    server.close()


@pytest.fixture(scope="session")
def acme_files(company_ca: tuple[trustme.CA, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files that the company gives its machines, by setting."""
    folder = tmp_path_factory.mktemp("machine")
    key, certificate = folder / "signing.key", folder / "machine.pem"
    key.write_bytes(SIGNING_KEY + b"\n")
    company_ca[0].issue_cert("laptop-17.acme.example").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    return {"ca_cert": str(company_ca[1]), "client_cert": str(certificate), "signing_key": str(key)}


@pytest.fixture(scope="session")
def acme_table(gateway: Gateway, archive: ArchiveServer, provider: LoginProvider, acme_files: dict[str, str]) -> str:
    """What the administrator's file says of the company."""
    addresses = {"address": gateway.address, "archive": archive.address, "issuer": provider.issuer}
    members = {**addresses, **acme_files, "audit_log": "~/acme-audit.jsonl"}
    return "[acme]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in members.items())


@pytest.fixture
def somebody(acme_environment: Environment, acme_table: str, tmp_path: Path) -> Home:
    """The home of somebody at Acme, who has configured nothing, and has not logged in."""
    home = Home(tmp_path / "home", program=acme_environment.bin / "algo")
    home.write_site_config(acme_table)
    return home


@pytest.fixture(scope="session")
def log_in(provider: LoginProvider) -> Callable[[Home], str]:
    """Types `algo acme login`, and confirms in a browser; what it said."""
    return lambda home: _logged_in(home, provider)


def _logged_in(home: Home, provider: LoginProvider) -> str:
    with subprocess.Popen(
        home.command("acme", "login"),
        env=home.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout
        said = process.stdout.readline()
        found = re.fullmatch(r"Open (\S+) and confirm the code (\S+)\n", said)
        assert found, said
        provider.decide(found[1], found[2])
        said += process.communicate(timeout=SECONDS)[0]
        assert process.returncode == ExitCode.OK, said
    return said


@pytest.fixture(scope="session")
def janes_session(
    acme_environment: Environment,
    acme_table: str,
    log_in: Callable[[Home], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """What Jane's log-in has left on her machine; most tests begin with it."""
    home = Home(tmp_path_factory.mktemp("login") / "home", program=acme_environment.bin / "algo")
    home.write_site_config(acme_table)
    log_in(home)
    return (home.root / ".acme" / "session.json").read_text()


@pytest.fixture
def jane(somebody: Home, janes_session: str) -> Home:
    """The home of Jane, who has logged in this morning."""
    (somebody.root / ".acme").mkdir(mode=0o700)
    (somebody.root / ".acme" / "session.json").write_text(janes_session)
    return somebody
