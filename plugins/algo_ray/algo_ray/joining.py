"""Joins a cluster, or says by name what does not fit (driver process)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence

OLDEST, NEWEST = (2, 60), (3,)
"""The versions of Ray that fit: from the first, before the second."""

_CONNECT_SECONDS = 5.0
_PROBE_SECONDS = 20.0

_PROBE = """
import sys
from ray._raylet import GcsClient
GcsClient(address=sys.argv[1]).internal_kv_keys(b"", None, 5)
"""
"""What only a cluster without authentication answers."""

Refusal = tuple[str, str, str | None]
"""The class of the error (`network` or `configuration`), a message, and a hint."""


def join(address: str, environment: Mapping[str, str], packages: Sequence[str]) -> Refusal | None:
    """Connect to the cluster at `address`; why that is impossible.

    `environment` is that of the actors, `packages` are the directories of our own code.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except OSError as error:
        hint = "Start one: `ray start --head --node-ip-address 127.0.0.1`, or correct the address"
        return "network", f"No Ray cluster answers at {address}: {error.strerror or error}", hint
    if host in ("127.0.0.1", "localhost", "[::1]"):
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # else loopback means the machine's own interface to Ray
    os.environ["RAY_AUTH_MODE"] = "token"
    import ray

    if told := unfit(ray.__version__):
        return told
    if not _demands_token(address):
        return (
            "configuration",
            f"The Ray cluster at {address} lets everybody run code: it was started without token authentication",
            "Start its nodes with RAY_AUTH_MODE=token and one token: `ray get-auth-token --generate`",
        )
    try:
        ray.init(
            address=address,
            namespace="algo",
            runtime_env={"py_modules": list(packages), "env_vars": dict(environment)},
            log_to_driver=False,
            logging_level="ERROR",
        )
    except Exception as error:  # Ray raises what it likes
        return _explained(address, error)
    return None


def unfit(version: str) -> Refusal | None:
    """Why this version of Ray is not used."""
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if OLDEST <= numbers < NEWEST:
        return None
    return (
        "configuration",
        f"Ray {version} is installed, and algo-ray needs 2.60 or later, before 3",
        f"Install one that fits: {sys.executable} -m pip install 'ray>=2.60,<3'",
    )


def _demands_token(address: str) -> bool:
    """Whether the cluster refuses who has no token."""
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    command = [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{_PROBE}", address]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=_PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return True  # nobody was let in
    return done.returncode != 0


def _explained(address: str, error: Exception) -> Refusal:
    text = " ".join(str(error).split())[:500]
    if "ersion mismatch" in text:
        return (
            "configuration",
            f"The Ray cluster at {address} runs other versions than this machine: {text}",
            "Install the same version of Ray and of Python on all of them",
        )
    if "token" in text.lower() or "authent" in text.lower():
        return (
            "configuration",
            f"The Ray cluster at {address} does not accept this machine's token: {text}",
            "Give RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH the token of the cluster",
        )
    hint = "The platform's machine has to be a node of the cluster: `ray start --address ADDRESS --num-cpus 0`"
    return "network", f"The Ray cluster at {address} cannot be used: {text}", hint
