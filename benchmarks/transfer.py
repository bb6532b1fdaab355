"""Moving data, beside curl, rclone and the older command line, against nginx on loopback.

Run with `make benchmarks-transfer`, or `python benchmarks/transfer.py --write` to write the tables and the picture of
`docs/benchmarks.md` anew. Builds wheels and installs them and the peers' packages into fresh environments; nginx is a
Debian package (`make benchmark-deps`). All data is in memory. Every figure is the median over rounds in which all sides
ran in turn; ratios are taken round by round, because seconds drift on a shared machine.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from faults.link import Link
from figures import BEST_RCLONE, OLDER, RCLONE, Figures, Side, measured
from measure import clean_environ
from page import write_page
from peers import Peers
from servers import Nginx, memory_directory, nginx

SMALL = 4096
GIB = 1 << 30
KEY = "sim" + "k" * 25
DELAY = 0.02
RATE = 100e6
CAPPED = GIB


class Bench:
    """The server, the peers, and where files go."""

    def __init__(self, server: Nginx, peers: Peers, base: Path, rounds: int) -> None:
        self.server = server
        self.peers = peers
        self.out = base / "out"
        self.local = base / "local"
        self.rounds = rounds
        self.figures: list[Figures] = []
        self.environ = clean_environ(
            HOME=str(base), ALGO_CACHE_DIR=str(base / "cache"), ALGORITHMIA_API_KEY=KEY, RCLONE_CONFIG="/dev/null"
        )
        for path in (self.out, self.local):
            path.mkdir()

    def algo(self, *words: str | Path, address: str | None = None, **environ: str) -> Side:
        """Ours."""
        more = {"ALGORITHMIA_API": address or self.server.address, **environ}
        return Side([str(self.peers.algo), *map(str, words)], {**self.environ, **more})

    def older(self, *words: str | Path, address: str | None = None, **environ: str) -> Side:
        """The command line that ours takes the place of."""
        more = {"ALGORITHMIA_API": address or self.server.address, **environ}
        return Side([str(self.peers.older), *map(str, words)], {**self.environ, **more})

    def curl(self, *words: str | Path) -> Side:
        """curl."""
        return Side(["curl", "-sS", "--fail", *map(str, words)], self.environ)

    def rclone(self, command: str, *words: str | Path | int, address: str | None = None) -> Side:
        """rclone, which sees the files of `.my` as `:webdav:` and `:http:`; without the pauses of the former."""
        server = address or self.server.address
        flags = ["--webdav-url", f"{server}/webdav/", "--webdav-vendor", "other", "--webdav-pacer-min-sleep", "0"]
        flags += ["--http-url", f"{server}/index/", "--http-no-head"]
        return Side([str(self.peers.rclone), command, *flags, *map(str, words)], self.environ)

    def best_of_rclone(
        self, directions: Sequence[tuple[str | Path, str | Path]], at_once: Sequence[int], address: str | None = None
    ) -> dict[str, Side]:
        """rclone with several settings, of which the fastest counts."""
        return {
            f"{RCLONE}, {remote_kind(source, target)}, {number} at once": self.rclone(
                "copy",
                "--transfers",
                number,
                "--checkers",
                number,
                "--ignore-checksum",
                source,
                target,
                address=address,
            )
            for source, target in directions
            for number in at_once
        }

    def compare(self, title: str, base: str, sides: dict[str, Side]) -> None:
        """Measure some sides in turn, and print and keep what came out."""
        figures = measured(title, base, sides, self.rounds, self.clear, self.made)
        self.figures.append(figures)
        print(figures.text(), flush=True)

    def entries(self) -> list[os.DirEntry[str]]:
        """What a side has made, here or on the server."""
        return [entry for folder in (self.out, self.server.collection("up")) for entry in os.scandir(folder)]

    def clear(self) -> None:
        """Remove it."""
        for entry in self.entries():
            os.unlink(entry.path)

    def made(self) -> tuple[int, int]:
        """How many files that are, and how many bytes."""
        entries = self.entries()
        return len(entries), sum(entry.stat().st_size for entry in entries)

    def small_files(self, count: int) -> str:
        """A collection, and a directory of this machine, with so many small files; their common name."""
        name = f"small{count}"
        folder, local = self.server.collection(name), self.local / name
        if not local.exists():
            local.mkdir()
            names = [f"f{number:06}" for number in range(count)]
            content = os.urandom(SMALL)
            for file in names:
                (folder / file).write_bytes(content)
                (local / file).hardlink_to(folder / file)
            self.server.list(name, [(file, SMALL) for file in names])
        return name

    def large_file(self, size: int) -> str:
        """A file in a collection, and on this machine, of so many bytes; its name in `large`."""
        name = f"b{size}"
        path = self.server.collection("large") / name
        if not path.exists():
            block = os.urandom(1 << 20)
            with path.open("wb") as file:
                for _ in range(size >> 20):
                    file.write(block)
            (self.local / name).hardlink_to(path)
        return name


def large(bench: Bench, size: int, *, with_older: bool) -> None:
    """One large file, both ways, plain and encrypted."""
    name, server, out = bench.large_file(size), bench.server, bench.out / "f"
    remote, url = f"data://.my/large/{name}", f"v1/data/.my/large/{name}"
    local, up = bench.local / name, "v1/data/.my/up/f"
    bench.server.collection("up")
    older = {OLDER: bench.older("cp", remote, out)} if with_older else {}
    rclone = bench.rclone("copyto", f":webdav:large/{name}", out)
    single = bench.rclone("copyto", "--multi-thread-streams", "0", f":webdav:large/{name}", out)
    bench.compare(
        f"{size >> 20} MiB down",
        "curl -o",
        {
            "algo": bench.algo("cp", remote, out),
            "curl -o": bench.curl("-o", out, f"{server.address}/{url}"),
            RCLONE: rclone,
            f"{RCLONE}, 1 stream": single,
            **older,
        },
    )
    secret = {"REQUESTS_CA_BUNDLE": str(server.authority)}
    older = {OLDER: bench.older("cp", remote, out, address=server.tls_address, **secret)} if with_older else {}
    bench.compare(
        f"{size >> 20} MiB down, TLS",
        "curl -o",
        {
            "algo": bench.algo("cp", remote, out, address=server.tls_address, **secret),
            "curl -o": bench.curl("--cacert", server.authority, "-o", out, f"{server.tls_address}/{url}"),
            **older,
        },
    )
    older = {OLDER: bench.older("cp", local, "data://.my/up/f")} if with_older else {}
    bench.compare(
        f"{size >> 20} MiB up",
        "curl -T",
        {
            "algo": bench.algo("cp", local, "data://.my/up/f"),
            "curl -T": bench.curl("-T", local, f"{server.address}/{up}"),
            RCLONE: bench.rclone("copyto", local, ":webdav:up/f"),
            **older,
        },
    )
    bench.compare(
        f"{size >> 20} MiB up, TLS",
        "curl -T",
        {
            "algo": bench.algo("cp", local, "data://.my/up/f", address=server.tls_address, **secret),
            "curl -T": bench.curl("--cacert", server.authority, "-T", local, f"{server.tls_address}/{up}"),
        },
    )


def capped(bench: Bench, size: int) -> None:
    """One large file over a line on which each connection gets 100 MB/s."""
    name, out = bench.large_file(size), bench.out / "f"
    port = int(bench.server.address.rpartition(":")[2])
    with Link(("127.0.0.1", port), rate=RATE) as link:
        address = f"http://127.0.0.1:{link.port}"
        remote = f"data://.my/large/{name}"
        bench.compare(
            f"{size >> 20} MiB down, 100 MB/s for each connection",
            "one stream",
            {
                "algo": bench.algo("cp", remote, out, address=address),
                "one stream": bench.curl("-o", out, f"{address}/v1/data/.my/large/{name}"),
                RCLONE: bench.rclone("copyto", f":webdav:large/{name}", out, address=address),
                f"{RCLONE}, 16 streams": bench.rclone(
                    "copyto", "--multi-thread-streams", "16", f":webdav:large/{name}", out, address=address
                ),
            },
        )


def remote_kind(*places: str | Path) -> str:
    """`webdav` or `http`: how rclone is told to see the server."""
    return next(str(place).split(":")[1] for place in places if str(place).startswith(":"))


def small(bench: Bench, count: int, *, with_older: bool) -> None:
    """Many small files, both ways; those that go up replace others, which the older command line lists for each."""
    name = bench.small_files(count)
    bench.server.collection("up")
    bench.server.list("up", [(f"f{number:06}", SMALL) for number in range(count)])
    files, local = f"data://.my/{name}/*", bench.local / name
    older = {OLDER: bench.older("cp", files, bench.out)} if with_older else {}
    downs = [(f":webdav:{name}", bench.out), (f":http:{name}/", bench.out)]
    sides = {"algo": bench.algo("cp", "--quiet", files, bench.out), **bench.best_of_rclone(downs, (2, 4, 16))}
    bench.compare(f"{count} files of 4 KiB down", BEST_RCLONE, {**sides, **older})
    paths = sorted(local.iterdir())
    older = {OLDER: bench.older("cp", *paths, "data://.my/up")} if with_older else {}
    sides = {
        "algo": bench.algo("cp", "--quiet", *paths, "data://.my/up"),
        **bench.best_of_rclone([(local, ":webdav:up")], (2, 4, 16)),
    }
    bench.compare(f"{count} files of 4 KiB up", BEST_RCLONE, {**sides, **older})


def distant(bench: Bench, count: int, *, with_older: bool) -> None:
    """Many small files where every answer takes 20 ms more."""
    name = bench.small_files(count)
    port = int(bench.server.address.rpartition(":")[2])
    with Link(("127.0.0.1", port), delay=DELAY) as link:
        address = f"http://127.0.0.1:{link.port}"
        files = f"data://.my/{name}/*"
        older = {OLDER: bench.older("cp", files, bench.out, address=address)} if with_older else {}
        downs = [(f":webdav:{name}", bench.out), (f":http:{name}/", bench.out)]
        sides = {
            "algo": bench.algo("cp", "--quiet", files, bench.out, address=address),
            **bench.best_of_rclone(downs, (64,), address),
        }
        bench.compare(f"{count} files of 4 KiB down, 20 ms for each answer", BEST_RCLONE, {**sides, **older})


READ_PAGES = """
import json, subprocess, sys
pages = subprocess.run(["curl", "-sS", *sys.argv[1:]], capture_output=True, check=True).stdout
decoder, text, at = json.JSONDecoder(), pages.decode(), 0
while at < len(text):
    page, at = decoder.raw_decode(text, at)
    for file in page["files"]:
        sys.stdout.write(file["filename"] + "\\n")
"""
"""The least that has to be done for a listing."""


def listing(bench: Bench, count: int) -> None:
    """A listing of many pages."""
    bench.server.collection("listed")
    bench.server.list("listed", [(f"f{number:07}", SMALL) for number in range(count)])
    url = f"{bench.server.address}/v1/data/.my/listed"
    urls = [f"{url}?marker={page}" if page else url for page in range(-(-count // 1000))]
    sides = {
        "algo ls": bench.algo("ls", ".my/listed"),
        "curl and json": Side([str(bench.peers.python), "-c", READ_PAGES, *urls], bench.environ),
    }
    bench.compare(f"listing of {count} files", "curl and json", sides)


def unchanged(bench: Bench, counts: Sequence[int]) -> None:
    """Syncs where nothing has changed."""
    sides = {}
    for count in counts:
        for side in ("here", "there"):
            bench.server.collection(f"{side}{count}")
            bench.server.list(f"{side}{count}", [(f"f{number:07}", SMALL) for number in range(count)])
        sides[f"{count} files"] = bench.algo("sync", f"data://.my/here{count}", f"data://.my/there{count}")
    bench.compare("sync, nothing changed", f"{counts[0]} files", sides)


def growth(bench: Bench, counts: Sequence[int], sizes: Sequence[int]) -> None:
    """How time and memory grow with the number of files and with the size of one."""
    for count in counts:
        name = bench.small_files(count)
        sides = {
            "algo": bench.algo("cp", "--quiet", f"data://.my/{name}/*", bench.out),
            RCLONE: bench.rclone("copy", "--transfers", 16, f":http:{name}/", bench.out),
        }
        bench.compare(f"growth: {count} files of 4 KiB down", RCLONE, sides)
    for size in sizes:
        name, out = bench.large_file(size), bench.out / "f"
        sides = {
            "algo": bench.algo("cp", f"data://.my/large/{name}", out),
            "curl": bench.curl("-o", out, f"{bench.server.address}/v1/data/.my/large/{name}"),
        }
        bench.compare(f"growth: {size >> 20} MiB down", "curl", sides)


def main() -> None:
    """Measure, print, and with `--write` keep it in the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds of each block")
    parser.add_argument("--only", help="blocks to measure, with commas between: large,capped,small,distant,...")
    parser.add_argument("--large", type=int, default=1024, help="MiB of the large file")
    parser.add_argument("--without-older", action="store_true", help="leave out the older command line, which is slow")
    parser.add_argument("--environments", type=Path, help="a directory to keep the environments in for the next run")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    chosen = parser.parse_args()
    older = not chosen.without_older
    blocks: dict[str, Callable[[Bench], None]] = {
        "large": lambda bench: large(bench, chosen.large << 20, with_older=older),
        "capped": lambda bench: capped(bench, CAPPED),
        "small": lambda bench: small(bench, 1000, with_older=older),
        "smaller": lambda bench: small(bench, 5000, with_older=False),
        "distant": lambda bench: distant(bench, 1000, with_older=older),
        "listing": lambda bench: listing(bench, 100_000),
        "unchanged": lambda bench: unchanged(bench, (10_000, 100_000, 1_000_000)),
        "growth": lambda bench: growth(bench, (100, 1000, 10_000, 100_000), [1 << shift for shift in range(20, 33, 3)]),
    }
    with contextlib.ExitStack() as kept:
        base = Path(kept.enter_context(tempfile.TemporaryDirectory(dir=memory_directory())))
        base.chmod(0o755)
        (base / "server").mkdir()
        server = kept.enter_context(nginx(base / "server"))
        bench = Bench(server, Peers(chosen.environments or base / "environments"), base, chosen.rounds)
        for name in chosen.only.split(",") if chosen.only else blocks:
            blocks[name](bench)
        if chosen.write:
            write_page(bench.figures, chosen.rounds, bench.peers.versions())


if __name__ == "__main__":
    main()
