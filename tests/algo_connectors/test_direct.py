"""Which of the platform and this machine opens a scheme, with which options, and what is said when it cannot."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.stores import Store

from algo_connectors.common.errors import error_of
from algo_connectors.common.opening import STORES, open_store
from algo_core.errors import (
    AuthError,
    ConfigError,
    ExitCode,
    NetworkError,
    NotFoundError,
    PermissionDenied,
    PlatformError,
    TimedOut,
)
from algo_core.storage.uri import DataUri
from algo_core.testing import Home


def test_nothing_of_the_stores_is_imported_before_it_is_needed(algo_home: Home) -> None:
    algo_home.run("--help")
    code = (
        "import sys; sys.argv = ['algo', '--help']\n"
        "from algo_core.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=algo_home.environ,
        cwd=algo_home.root,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in ("fsspec", "s3fs", "adlfs", "gcsfs", "dropbox", "botocore", "azure", "aiohttp", "algo_connectors"):
        assert f"'{name}'" not in done.stderr


@pytest.mark.parametrize("scheme", sorted(STORES))
def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, importing = STORES[scheme][1], builtins.__import__
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return importing(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=package) as caught:
        open_store(scheme, {"access_token": "x"} if scheme == "dropbox" else {})
    assert str(caught.value.hint).endswith(f"pip install 'algo-connectors[{scheme}]'")


def test_the_platform_is_asked_unless_direct_is_set(algo_home: Home, s3: Store) -> None:
    platform = '[profiles.default]\naddress = "local:"\n'
    options = s3.toml.replace("direct = true\n", "")
    for text, code, said in (
        (platform, ExitCode.NOT_FOUND, "No connector s3"),
        (platform + options, ExitCode.NOT_FOUND, "No connector s3"),
        (
            platform + options.replace("[connectors.s3]", "[connectors.s3]\ndirect = false"),
            ExitCode.NOT_FOUND,
            "No connector s3",
        ),
        (platform + s3.toml, ExitCode.OK, ""),
        (platform + s3.toml.replace("connectors.s3", 'connectors."s3+mine"'), ExitCode.NOT_FOUND, "No connector s3"),
    ):
        algo_home.write_config(text)
        done = algo_home.run("ls", "s3://bucket")
        assert (done.code, said in done.stderr) == (code, True), done.stderr
    assert algo_home.run("ls", "s3+mine://bucket").code == ExitCode.OK


def test_any_protocol_becomes_a_connector_by_configuration(algo_home: Home, s3: Store, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    minio = s3.toml.replace("connectors.s3", "connectors.minio").replace("direct = true", 'protocol = "s3"')
    algo_home.write_config(f'[connectors.archive]\nprotocol = "local"\nroot = "{archive}"\n{minio}')
    assert algo_home.run("cp", "-", "archive://notes.txt", input=b"notes").code == ExitCode.OK
    assert (archive / "notes.txt").read_bytes() == b"notes"
    assert algo_home.run("cp", "archive://notes.txt", "minio://bucket/notes.txt").code == ExitCode.OK
    assert algo_home.run("cat", "minio://bucket/notes.txt").stdout == b"notes"


@pytest.mark.parametrize(
    ("table", "code", "said"),
    [
        ('[connectors]\ns3 = "yes"', ExitCode.CONFIGURATION, "[connectors.s3]"),
        ('[connectors.s3]\ndirect = "yes"', ExitCode.CONFIGURATION, "must be true or false"),
        ('[connectors.archive]\nprotocol = "nonsense"', ExitCode.CONFIGURATION, "nonsense"),
        ("[connectors.s3]\ndirect = true\nno_such_option = 1", ExitCode.CONFIGURATION, "no_such_option"),
        ("[connectors.dropbox]\ndirect = true", ExitCode.CONFIGURATION, "access_token"),
        ('[connectors.dropbox]\ndirect = true\naccess_token = "x"\nwhat = 1', ExitCode.CONFIGURATION, "what"),
        ("[connectors.gs]\ndirect = true\ntoken = 5", ExitCode.CONFIGURATION, "gs://"),
        (
            '[connectors.s3]\ndirect = true\nendpoint_ulr = "http://127.0.0.1:1"',
            ExitCode.CONFIGURATION,
            "did you mean 'endpoint_url'?",
        ),
        (
            '[connectors.gs]\ndirect = true\nendpoint_ulr = "http://127.0.0.1:1"',
            ExitCode.CONFIGURATION,
            "did you mean 'endpoint_url'?",
        ),
        (
            '[connectors.gs]\ndirect = true\nanon = true\nplace = "x"',
            ExitCode.CONFIGURATION,
            "gs:// has no option 'place'",
        ),
        (
            '[connectors.azureblob]\ndirect = true\nstorage_url = "http://127.0.0.1:1"',
            ExitCode.CONFIGURATION,
            "did you mean 'storage_uri'?",
        ),
        (
            '[connectors.azureblob]\ndirect = true\nacount_key = "x"',
            ExitCode.CONFIGURATION,
            "did you mean 'account_key'?",
        ),
        ('[connectors.archive]\nprotocol = "local"\nrooot = "/tmp"', ExitCode.CONFIGURATION, "did you mean 'root'?"),
    ],
)
def test_a_wrong_table_is_explained(algo_home: Home, table: str, code: int, said: str) -> None:
    algo_home.write_config(table + "\n")
    scheme = (
        "archive"
        if "archive" in table
        else next(name for name in ("dropbox", "azureblob", "gs", "s3") if f".{name}]" in table or f"{name} =" in table)
    )
    done = algo_home.run("ls", f"{scheme}://bucket")
    assert (done.code, said in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_secret_and_a_store_that_is_not_there(algo_home: Home, seaweed: Store, dropbox: Store) -> None:
    algo_home.write_config(seaweed.toml.replace(seaweed.options["secret"], "wrong"))
    assert algo_home.run("ls", "s3://bucket").code == ExitCode.AUTHENTICATION
    algo_home.write_config(dropbox.toml.replace(dropbox.options["access_token"], "wrong"))
    assert algo_home.run("ls", "dropbox://").code == ExitCode.AUTHENTICATION
    algo_home.write_config(
        '[connectors.s3]\ndirect = true\nendpoint_url = "http://127.0.0.1:1"\nkey = "a"\nsecret = "b"\n'
        "[connectors.s3.config_kwargs]\nretries = {total_max_attempts = 1}\n"
    )
    done = algo_home.run("ls", "s3://bucket")
    assert (done.code, "Traceback" in done.stderr) == (ExitCode.NETWORK, False), done.stderr


class _Answer(Exception):
    def __init__(self, status: int) -> None:
        super().__init__("said the store")
        self.status_code = status


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (_Answer(401), AuthError),
        (_Answer(403), PermissionDenied),
        (_Answer(404), NotFoundError),
        (_Answer(503), PlatformError),
        (_Answer(504), TimedOut),
        (FileNotFoundError("x"), NotFoundError),
        (PermissionError(13, "no"), PermissionDenied),
        (ConnectionResetError("gone"), NetworkError),
        (TimeoutError(), TimedOut),
        (ValueError("odd option"), ConfigError),
    ],
)
def test_what_packages_raise_becomes_an_error_with_its_exit_code(error: Exception, kind: type[Exception]) -> None:
    assert type(error_of(DataUri("s3", "bucket/file"), error)) is kind
