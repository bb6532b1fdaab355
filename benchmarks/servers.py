"""A server that is not the bottleneck: nginx, with as much of the data API as moving files needs.

Files are in a directory; GET and PUT are nginx's own. Listings are files as well, a page each, written beforehand.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme

PAGE = 1000
"""Entries on a page of a listing (API section 4.4)."""

CONFIGURATION = """
{modules}
daemon off;
worker_processes {workers};
pid {base}/nginx.pid;
error_log {base}/error.log;
{user}
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 10000000;
    client_max_body_size 0;
    client_body_buffer_size 64k;
    client_body_temp_path {base}/bodies;
    proxy_temp_path {base}/proxied;
    fastcgi_temp_path {base}/fastcgi;
    uwsgi_temp_path {base}/uwsgi;
    scgi_temp_path {base}/scgi;
    default_type application/octet-stream;
    map $arg_marker $page {{ "" 0; default $arg_marker; }}
    server {{
        listen 127.0.0.1:{plain};
        listen 127.0.0.1:{tls} ssl;
        ssl_certificate {base}/server.pem;
        ssl_certificate_key {base}/server.key;
        root {base}/root;
        location /v1/data/ {{
            alias {base}/root/;
            dav_methods PUT DELETE;
            create_full_put_path on;
            add_header X-Data-Type file;
        }}
        location ~ ^/v1/data/\\.my/(?<collection>[a-z0-9]+)$ {{
            default_type application/json;
            add_header X-Data-Type directory;
            alias {base}/listings/$collection/$page;
        }}
        location /webdav/ {{
            alias {base}/root/.my/;
            dav_methods PUT DELETE MKCOL;
            dav_ext_methods PROPFIND OPTIONS;
            create_full_put_path on;
        }}
        location /index/ {{
            alias {base}/root/.my/;
            autoindex on;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """A running server; `base` is where its files are."""

    base: Path
    plain: int
    tls: int

    @property
    def address(self) -> str:
        """The platform's address."""
        return f"http://127.0.0.1:{self.plain}"

    @property
    def tls_address(self) -> str:
        """The same, encrypted."""
        return f"https://127.0.0.1:{self.tls}"

    @property
    def authority(self) -> Path:
        """Who has signed its certificate."""
        return self.base / "ca.pem"

    def collection(self, name: str) -> Path:
        """The directory of a collection of `.my`, which is there afterwards."""
        path = self.base / "root" / ".my" / name
        path.mkdir(parents=True, exist_ok=True)
        if not (self.base / "listings" / name).exists():
            self.list(name, [])
        return path

    def list(self, name: str, files: list[tuple[str, int]]) -> None:
        """Write the listing of a collection: names and sizes."""
        folder = self.base / "listings" / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(max(1, -(-len(files) // PAGE))):
            entries = files[number * PAGE : (number + 1) * PAGE]
            page: dict[str, object] = {
                "folders": [],
                "files": [
                    {"filename": file, "size": size, "last_modified": "2016-01-06T10:22:34.000Z"}
                    for file, size in entries
                ],
            }
            if (number + 1) * PAGE < len(files):
                page["marker"] = str(number + 1)
            (folder / str(number)).write_text(json.dumps(page, separators=(",", ":")))


def memory_directory() -> str | None:
    """Where temporary directories cost no disk, if there is such a place."""
    return "/dev/shm" if os.path.isdir("/dev/shm") else None


@contextlib.contextmanager
def nginx(base: Path) -> Iterator[Nginx]:
    """Serve `base`.

    Raises:
        RuntimeError: if nginx is not installed (`make benchmark-deps`), or does not start.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    modules = Path("/usr/lib/nginx/modules/ngx_http_dav_ext_module.so")
    if not program or not modules.exists():
        raise RuntimeError("nginx and its module dav-ext are needed: make benchmark-deps")
    for folder in ("root/.my", "listings"):
        (base / folder).mkdir(parents=True)
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(base / "ca.pem")
    certificate.private_key_pem.write_to_path(base / "server.key")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(base / "server.pem", append=True)
    plain, tls = _free_port(), _free_port()
    (base / "nginx.conf").write_text(
        CONFIGURATION.format(
            base=base,
            plain=plain,
            tls=tls,
            workers=os.cpu_count() or 1,
            modules=f"load_module {modules};",
            user="user root;" if os.getuid() == 0 else "",
        )
    )
    process = subprocess.Popen([program, "-c", base / "nginx.conf", "-e", base / "error.log"])
    try:
        _wait_for(process, plain)
        yield Nginx(base, plain, tls)
    finally:
        process.terminate()
        process.wait(30)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("nginx does not start")
