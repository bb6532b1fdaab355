"""The platform's side of its driver process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import algo_core
import algo_local
import algo_ray
from algo_core.errors import AlgoError, ConfigError, NetworkError
from algo_ray.frames import Channel
from algo_ray.lines import encryption

JOIN_SECONDS = 30.0
"""Time limit in seconds for joining a cluster."""

_STOP_SECONDS = 8.0
_MAIN = (
    "import json, sys\nsys.path[:] = json.loads(sys.argv.pop())\nfrom algo_ray.driver import main\nmain()"  # as ours is
)
INSECURE = "ALGO_RAY_INSECURE"
"""The variable that allows traffic between machines which is not encrypted."""

_CARRIED = (
    *("ALGO_LOCAL_SANDBOX", "ALGO_LOCAL_SANDBOX_PATHS", "ALGO_LOCAL_MEMORY", "ALGO_LOCAL_PROCESSES"),
    *("ALGO_LOCAL_OPEN_FILES", "ALGO_LOCAL_FILE_SIZE"),
)
"""Variables that confine and limit algorithms: what they say here holds on every node."""


class Connection:
    """The driver process, joined to a cluster."""

    def __init__(self, address: str, directory: Path, environ: Mapping[str, str] = os.environ) -> None:
        """`directory` is where what the driver and Ray say is kept, in `driver.log`."""
        self._address = address
        self._directory = directory
        self.environ = environ
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._questions: Channel | None = None
        self.is_closed = False

    def open(self) -> None:
        """Start the driver and join the cluster, unless that is done.

        Raises:
            ConfigError: if Ray is not installed, or the cluster does not fit.
            NetworkError: if no cluster answers.
        """
        with self._lock:
            if self.is_closed:
                raise AlgoError("The platform is shutting down")
            if self._process and self._process.poll() is None:
                return
            if find_spec("ray") is None:
                raise ConfigError(
                    "Ray is not installed", f"Install it: {sys.executable} -m pip install 'algo-local[ray]'"
                )
            self._open()

    def _open(self) -> None:
        try:
            encryption(self.environ, is_platform=True)
        except OSError as error:
            names = "RAY_TLS_SERVER_CERT, RAY_TLS_SERVER_KEY and RAY_TLS_CA_CERT"
            raise ConfigError(f"Ray's traffic cannot be encrypted: {error}", f"Set {names} to files in PEM") from error
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        ours, theirs = socket.socketpair()
        settings = {
            "address": self._address,
            "environment": {name: self.environ[name] for name in _CARRIED if self.environ.get(name)},
            "is_insecure": self.environ.get(INSECURE, "").lower() in ("1", "true", "yes", "on"),
            "packages": [str(Path(str(package.__file__)).parent) for package in (algo_core, algo_local, algo_ray)],
        }
        arguments = [str(theirs.fileno()), json.dumps(settings), json.dumps([part for part in sys.path if part])]
        with theirs, open(self._directory / "driver.log", "wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-I", "-B", "-c", _MAIN, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={**self.environ, "RAY_AUTH_MODE": "token"},
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        try:
            answer = Channel(ours).receive(JOIN_SECONDS)
        except BaseException as error:
            _end(process, ours)
            if not isinstance(error, TimeoutError):
                raise
            raise NetworkError(
                f"The Ray cluster at {self._address} did not let the platform join within {JOIN_SECONDS:.0f} seconds",
                f"See what Ray says: {self._directory / 'driver.log'}",
            ) from None
        if not answer or answer[0] != "ready":
            _end(process, ours)
            raise self._refused(answer)
        self._process, self._control = process, ours

    def _refused(self, answer: tuple[Any, ...] | None) -> AlgoError:
        if not answer:
            return NetworkError(
                f"The driver for the Ray cluster at {self._address} ended",
                f"See what Ray says: {self._directory / 'driver.log'}",
            )
        _, kind, message, hint = answer
        return (NetworkError if kind == "network" else ConfigError)(message, hint)

    def channel(self, kind: bytes = b"w") -> Channel:
        """A channel of a new session, for a worker (`w`) or for questions about the cluster (`c`).

        Raises:
            AlgoError: if the driver has ended and cannot be started again.
        """
        for is_last in (False, True):
            self.open()
            ours, theirs = socket.socketpair()
            with self._lock, theirs:
                try:
                    assert self._control is not None
                    socket.send_fds(self._control, [kind], [theirs.fileno()])
                    return Channel(ours)
                except OSError:
                    ours.close()
                    if self._process:
                        self._process.kill()
                        self._process.wait()
                    if is_last:
                        raise
        raise AssertionError

    def cluster(self) -> dict[str, Any]:
        """The nodes, resources and actors; AlgoError if the cluster cannot be asked."""
        with self._lock:
            questions, self._questions = self._questions, None
        try:
            questions = questions or self.channel(b"c")
            questions.send("cluster")
            answer = questions.receive(JOIN_SECONDS)
        except OSError as error:
            raise NetworkError(f"The Ray cluster at {self._address} does not answer: {error}") from error
        if not answer:
            raise NetworkError(f"The Ray cluster at {self._address} does not answer")
        with self._lock:
            self._questions = questions
        found: dict[str, Any] = answer[1]
        return found

    def close(self) -> None:
        """End the driver, and all actors with it; may be repeated."""
        with self._lock:
            self.is_closed = True
            process, control, questions = self._process, self._control, self._questions
            self._process = self._control = self._questions = None
        if questions:
            questions.close()
        if process and control:
            _end(process, control)


def _end(process: subprocess.Popen[bytes], control: socket.socket) -> None:
    control.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
