"""`algo local serve` as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

ALGO = (sys.executable, "-m", "algo_core")


def algo(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run([*ALGO, *arguments], capture_output=True, text=True, timeout=120, check=False, **options)


class Served:
    """A served platform. What it says on stderr goes to a file, so that it never has to wait."""

    def __init__(self, *options: str, before: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> None:
        """`before` is a command that runs it, such as `prlimit ...`."""
        self.errors: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `kill`
        self.process = subprocess.Popen(
            [*before, *ALGO, "local", "serve", "--port", "0", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self.errors,
            env=environ,
        )
        self.address = self._address()

    def _address(self) -> str:
        ends = time.monotonic() + 60
        while not (match := re.search(r"^Serving on (https?://\S+)\n", self.said(), re.MULTILINE)):
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < ends, self.said()
            time.sleep(0.02)
        return match[1]

    def said(self) -> str:
        """What it has written to stderr so far."""
        size = os.fstat(self.errors.fileno()).st_size
        return os.pread(self.errors.fileno(), size, 0).decode()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal; the exit code, and what was said after the address."""
        self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        return code, self.said().partition("\n")[2]

    def kill(self) -> None:
        """End it if it is still there."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.errors.close()

    def memory(self) -> int:
        """The most memory that it has had so far, in bytes."""
        return self._status("VmHWM") << 10

    def threads(self) -> int:
        """Its threads."""
        return self._status("Threads")

    def processor_seconds(self) -> float:
        """The processor time that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self, name: str) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return int(text.partition(f"{name}:")[2].split()[0])
