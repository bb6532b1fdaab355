"""A platform for tests: the embedded one of `algo-local`, in an isolated home, in process or served."""

from __future__ import annotations

import re
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from algo_core.errors import ExitCode
from algo_core.testing.home import SECONDS, Home

_SERVING = re.compile(r"Serving on (\S+)")


@dataclass(frozen=True)
class Served:
    """A platform that listens on the loopback interface: its address, and an API key of the account `owner`."""

    address: str
    key: str
    owner: str

    @property
    def environ(self) -> dict[str, str]:
        """The environment variables with which `algo` and other clients use it."""
        return {"ALGORITHMIA_API": self.address, "ALGORITHMIA_API_KEY": self.key}


class Platform:
    """The embedded platform as the default profile of a home; `close` ends its servers."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._running = ExitStack()
        home.write_config('[profiles.default]\naddress = "local:"\n')

    def publish(self, directory: Path, algorithm: str, version: str = "1.0.0") -> None:
        """Publish the algorithm in a directory as `OWNER/NAME`.

        Raises:
            AssertionError: if it cannot be built; the message is what `algo` said.
        """
        done = self.home.run("local", "publish", directory, algorithm, "--version", version)
        assert done.code == ExitCode.OK, done.stderr

    def serve(
        self, owner: str = "tester", *, tls: tuple[Path, Path] | None = None, engine: str | None = None
    ) -> Served:
        """Serve it on a free port of the loopback interface; `tls` is the files of a certificate and its key (PEM).

        `engine` is the executor of a plugin that runs its algorithms.

        Raises:
            AssertionError: if it does not start; the message is what it said.
        """
        made = self.home.run("local", "key", "new", owner)
        assert made.code == ExitCode.OK, made.stderr
        flags = ["--tls-cert", str(tls[0]), "--tls-key", str(tls[1])] if tls else []
        flags += ["--engine", engine] if engine else []
        said = self.home.root / "served.log"
        with said.open("wb") as log:
            process = subprocess.Popen(
                self.home.command("local", "serve", "--host", "127.0.0.1", "--port", "0", *flags),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.home.environ,
                cwd=self.home.root,
            )
        self._running.callback(_stop, process)
        return Served(_address(process, said), made.text.strip(), owner)

    def close(self) -> None:
        """End what is served."""
        self._running.close()


def _address(process: subprocess.Popen[bytes], said: Path) -> str:
    end = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < end:
        if found := _SERVING.search(said.read_text("utf-8", "replace")):
            return found[1]
        time.sleep(0.02)
    raise AssertionError(f"The platform does not serve: {said.read_text('utf-8', 'replace')}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
