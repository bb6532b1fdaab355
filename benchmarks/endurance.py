"""A batch that is killed again and again, with the platform that it calls: each input has one result, in little memory.

    python benchmarks/endurance.py [--inputs 1000000] [--client-kills 50] [--platform-kills 10] [--memory 60]

`algo run --each` calls an algorithm on a served platform of its own; both are ended by SIGKILL, at moments spread
evenly over the inputs, and started again, the client with `--resume`. The exit code is 1 if a result is missing, wrong
or there twice, or if the client's largest resident memory was more than `--memory` MiB.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ALGO = (sys.executable, "-m", "algo_core")
ECHO = "def apply(input):\n    return input\n"
POLL_SECONDS = 0.01
MEBIBYTE = 1 << 20
_PEAK = re.compile(r"VmHWM:\s*(\d+) kB")


def peak(process: subprocess.Popen[bytes]) -> int:
    """The largest resident memory of a process so far, in bytes; 0 if it has ended."""
    try:
        found = _PEAK.search(Path(f"/proc/{process.pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


@dataclass
class Figures:
    """What was measured. Memory in bytes, `memory` with the number of results at that time."""

    inputs: int
    seconds: float = 0.0
    client_kills: int = 0
    platform_kills: int = 0
    ends: int = 0
    """How often the client ended by itself with an error, and was started again."""
    client_peak: int = 0
    platform_peak: int = 0
    memory: list[tuple[int, int, int]] = field(default_factory=list)
    """Results so far, and the peaks of the client and the platform that run then."""
    errors: set[str] = field(default_factory=set)
    """What the client said when it ended by itself."""
    problems: list[str] = field(default_factory=list)

    def report(self) -> str:
        """As text."""
        lines = [
            f"{self.inputs:,} inputs in {self.seconds:.1f} s ({self.inputs / self.seconds:,.0f}/s),"
            f" {self.client_kills} kills of the client, {self.platform_kills} of the platform,"
            f" {self.ends} other ends of the client",
            f"client: {self.client_peak / MEBIBYTE:.1f} MiB at most; platform: {self.platform_peak / MEBIBYTE:.1f} MiB",
            *(
                f"  at {done:,} results: client {client / MEBIBYTE:.1f} MiB, platform {platform / MEBIBYTE:.1f} MiB"
                for done, client, platform in self.memory[:: max(1, len(self.memory) // 8)]
            ),
            *sorted(self.errors),
            *(self.problems or ["every input has its result, once"]),
        ]
        return "\n".join(lines)


class Run:
    """One run in a directory of its own."""

    def __init__(self, root: Path, figures: Figures) -> None:
        self._root = root
        self._figures = figures
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ALGO", "XDG_"))}
        self._environ = {**kept, "HOME": str(root), "ALGO_LOCAL_ROOT": str(root / "platform")}
        self.results = root / "results.jsonl"
        self._read = 0
        self.done = 0

    def prepare(self) -> None:
        """Write the inputs, publish the algorithm, make a key."""
        with (self._root / "inputs.jsonl").open("w") as file:
            file.writelines(f'{{"n":{number}}}\n' for number in range(self._figures.inputs))
        source = self._root / "echo" / "src"
        source.mkdir(parents=True)
        (source / "__init__.py").touch()
        (source / "Echo.py").write_text(ECHO)
        self._algo("local", "publish", str(source.parent), "bench/Echo", "--version", "1.0.0")
        key = self._algo("local", "key", "new", "bench")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._environ |= {"ALGORITHMIA_API": f"http://127.0.0.1:{self._port}", "ALGORITHMIA_API_KEY": key}

    def _algo(self, *arguments: str) -> str:
        done = subprocess.run([*ALGO, *arguments], env=self._environ, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def platform(self) -> subprocess.Popen[bytes]:
        """Start the platform, and wait until it accepts connections."""
        said = (self._root / "served.log").open("ab")
        command = [*ALGO, "local", "serve", "--port", str(self._port)]
        process = subprocess.Popen(command, env=self._environ, stdout=said, stderr=said)
        said.close()
        while process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return process
            time.sleep(POLL_SECONDS)
        raise RuntimeError((self._root / "served.log").read_text()[-2000:])

    def client(self) -> subprocess.Popen[bytes]:
        """Start the batch, or go on with it."""
        resume = ["--resume"] if self.results.exists() else []
        said = (self._root / "client.log").open("ab")
        command = [*ALGO, "run", "bench/Echo/1.0.0", "--each", "inputs.jsonl", "-o", "results.jsonl", *resume]
        process = subprocess.Popen(
            [*command, "--retries", "50"], env=self._environ, cwd=self._root, stdout=said, stderr=said
        )
        said.close()
        return process

    def count(self) -> int:
        """The results so far."""
        if self.results.exists():
            with self.results.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size < self._read:  # a line that was cut off has been removed
                    self._read = self.done = 0
                file.seek(self._read)
                while block := file.read(MEBIBYTE):
                    self.done += block.count(b"\n")
                    self._read += len(block)
        return self.done - 1

    def check(self) -> None:
        """Find results that are missing, wrong, or there twice."""
        seen, wrong, twice = bytearray(self._figures.inputs), 0, 0
        with self.results.open("rb") as file:
            next(file)
            for line in file:
                row = json.loads(line)
                number = row["index"]
                twice += seen[number]
                seen[number] = 1
                wrong += row.get("result") != {"n": number}
        for count, what in ((seen.count(0), "are missing"), (wrong, "are wrong"), (twice, "are there twice")):
            if count:
                self._figures.problems.append(f"{count:,} results {what}")


def endure(inputs: int, client_kills: int, platform_kills: int, memory: int, root: Path) -> Figures:
    """Carry out the batch with so many kills; `memory` is the client's limit in MiB."""
    figures = Figures(inputs)
    kills = sorted(
        [(inputs * (number + 1) // (client_kills + 1), "client") for number in range(client_kills)]
        + [(inputs * (2 * number + 1) // (2 * platform_kills), "platform") for number in range(platform_kills)]
    )
    run = Run(root, figures)
    run.prepare()
    began = time.monotonic()
    platform, client = run.platform(), run.client()
    try:
        while True:
            _note(figures, client, platform)
            if client.poll() == 0:
                break
            if client.poll() is not None:
                figures.ends += 1
                said = (root / "client.log").read_text("utf-8", "replace").splitlines()
                figures.errors.update(line for line in said[-3:] if line.startswith("error: "))
                if figures.ends > 100:
                    raise RuntimeError("\n".join(said[-20:]))
                client = run.client()
            if kills and run.count() >= kills[0][0]:
                _, kind = kills.pop(0)
                figures.memory.append((run.done - 1, peak(client), peak(platform)))
                if kind == "client":
                    _kill(client)
                    figures.client_kills += 1
                    client = run.client()
                else:
                    _kill(platform)
                    figures.platform_kills += 1
                    platform = run.platform()
            time.sleep(POLL_SECONDS)
    finally:
        _kill(client)
        _kill(platform)
    figures.seconds = time.monotonic() - began
    run.check()
    if kills:
        figures.problems.append(f"{len(kills)} kills came too late")
    if figures.client_peak > memory * MEBIBYTE:
        figures.problems.append(f"the client had more than {memory} MiB")
    return figures


def _note(figures: Figures, client: subprocess.Popen[bytes], platform: subprocess.Popen[bytes]) -> None:
    figures.client_peak = max(figures.client_peak, peak(client))
    figures.platform_peak = max(figures.platform_peak, peak(platform))


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Kill a batch and its platform again and again.")
    for name, default in (("inputs", 1_000_000), ("client-kills", 50), ("platform-kills", 10), ("memory", 60)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="algo-endurance-") as root:
        figures = endure(given.inputs, given.client_kills, given.platform_kills, given.memory, Path(root))
    print(figures.report())
    return 1 if figures.problems else 0


if __name__ == "__main__":
    sys.exit(main())
