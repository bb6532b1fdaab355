"""A company's bundle, installed from its wheel: the profile, the CA, the archive, and files between all of them."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from acme_servers import Gateway
from support.environments import ROOT, Environment, own_tests

from algo_core.errors import ExitCode
from algo_core.testing import Home

BUNDLE = ROOT / "examples" / "acme_bundle"


def test_it_passes_its_own_tests(acme_environment: Environment, tmp_path: Path) -> None:
    environ = Home(tmp_path / "home").environ
    words = (*own_tests(tmp_path), "-c", BUNDLE / "pyproject.toml", BUNDLE / "tests")
    done = acme_environment.run(*words, cwd=tmp_path, environ=environ)
    assert done.returncode == ExitCode.OK, done.stdout


def test_its_types_are_right() -> None:
    subprocess.run([sys.executable, "-m", "mypy", "--strict", "--package", "acme_bundle"], cwd=BUNDLE, check=True)


def test_who_configures_nothing_is_on_the_companys_platform(jane: Home, gateway: Gateway, company_ca: Any) -> None:
    shown = jane.run("profile", "show", "--json").json
    assert shown["address"] == gateway.address
    assert (shown["origin"], shown["ca_cert"]) == ("acme-bundle", str(company_ca[1]))
    listed = jane.run("ls")
    assert (listed.code, listed.stderr) == (ExitCode.OK, "")
    assert "jane" in listed.text


def test_the_companys_ca_counts_whatever_the_environment_says(jane: Home, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        assert jane.run("ls", environ={variable: str(tmp_path / "empty.pem")}).code == ExitCode.OK


def test_without_the_companys_ca_nothing_is_sent(jane: Home, acme_table: str) -> None:
    jane.write_site_config("".join(line for line in acme_table.splitlines(True) if not line.startswith("ca_cert")))
    for words in (["ls"], ["ls", "acme://"]):
        result = jane.run(*words)  # trusts the CA of the package, which signed none of the certificates here
        assert result.code == ExitCode.NETWORK
        assert "certificate" in result.stderr
        assert result.stderr.endswith("hint: The help desk knows more: helpdesk@acme.example\n")


def test_files_go_from_the_archive_to_the_platform_to_the_disk_and_back(
    jane: Home, archive: Any, tmp_path: Path
) -> None:
    place, work = uuid.uuid4().hex, tmp_path / "work"
    work.mkdir()
    large = os.urandom(3 << 20)
    (archive.directory / place).mkdir()
    (archive.directory / place / "märz 1.csv").write_bytes(b"a,b\n1,2\n")
    (archive.directory / place / "large.bin").write_bytes(large)

    def algo(*words: str | Path) -> str:
        done = jane.run(*words, cwd=work)
        assert done.code == ExitCode.OK, done.stderr
        return done.text

    assert algo("ls", f"acme://{place}").splitlines() == [f"acme://{place}/large.bin", f"acme://{place}/märz 1.csv"]
    algo("mkdir", ".my/reports")
    algo("cp", f"acme://{place}/*", "data://.my/reports")
    algo("cp", "data://.my/reports/large.bin", "data://.my/reports/märz 1.csv", ".")
    assert (work / "large.bin").read_bytes() == large
    assert (work / "märz 1.csv").read_text() == "a,b\n1,2\n"

    algo("mkdir", f"acme://{place}/back")
    algo("cp", "large.bin", "data://.my/reports/again.bin")
    algo("cp", "data://.my/reports/again.bin", f"acme://{place}/back")
    algo("cp", "märz 1.csv", f"acme://{place}/back/renamed.csv")
    assert (archive.directory / place / "back" / "again.bin").read_bytes() == large
    assert algo("cat", f"acme://{place}/back/renamed.csv") == "a,b\n1,2\n"
    assert sorted(os.listdir(archive.directory / place / "back")) == ["again.bin", "renamed.csv"]

    assert jane.run("rmdir", f"acme://{place}").code == ExitCode.FAILURE
    algo("rm", f"acme://{place}/back/renamed.csv")
    algo("rmdir", "-f", f"acme://{place}")
    assert jane.run("ls", f"acme://{place}").code == ExitCode.NOT_FOUND
    assert not (archive.directory / place).exists()
    algo("rmdir", "-f", ".my/reports")


def test_who_is_not_logged_in_is_told_by_both(somebody: Home) -> None:
    for words in (["ls"], ["ls", "acme://"]):
        result = somebody.run(*words)
        assert result.code == ExitCode.AUTHENTICATION
        assert "algo acme login" in result.stderr
        assert "helpdesk@acme.example" in result.stderr


def test_the_doctor_finds_everything_in_order(jane: Home, archive: Any) -> None:
    result = jane.run("doctor", "--json")
    assert result.code == ExitCode.OK, result.text
    checks = {row["check"]: row["text"] for row in result.json}
    assert checks["platform"] == "account jane"
    assert checks["acme archive"] == f"{archive.address} answers"


@pytest.mark.parametrize("words", [["--help"], ["cp", "--help"]])
def test_help_loads_nothing_of_the_bundle(jane: Home, words: list[str]) -> None:
    jane.run("--help")  # now the index is there
    jane.write_site_config("[acme]\ncolour = 'a table that the bundle does not understand'\n")
    result = jane.run(*words)
    assert (result.code, result.stderr) == (ExitCode.OK, "")
