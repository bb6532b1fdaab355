"""Joins a cluster, or says by name what does not fit (driver process)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from algo_ray.lines import encryption, is_loopback

OLDEST, NEWEST = (2, 60), (3,)
"""The versions of Ray that fit: from the first, before the second."""

_CONNECT_SECONDS = 5.0
_PROBE_SECONDS = 15.0

_PROBE = """
import sys
from ray._raylet import GcsClient
GcsClient(address=sys.argv[1]).internal_kv_keys(b"", None, 5)
"""
"""What only a cluster without authentication answers."""

Refusal = tuple[str, str, str | None]
"""The class of the error (`network` or `configuration`), a message, and a hint."""


def join(address: str, environment: Mapping[str, str], packages: Sequence[str], *, is_insecure: bool) -> Refusal | None:
    """Connect to the cluster at `address`; why that is impossible.

    `environment` is that of the actors, `packages` are the directories of our own code. `is_insecure` allows traffic
    between machines that is not encrypted.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_SECONDS).close()
    except (OSError, UnicodeError) as error:  # UnicodeError: no such name is possible
        hint = "Start one: `ray start --head --node-ip-address 127.0.0.1`, or correct the address"
        return "network", f"No Ray cluster answers at {address}: {getattr(error, 'strerror', None) or error}", hint
    if host in ("127.0.0.1", "localhost", "[::1]"):
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # else loopback means the machine's own interface to Ray
    os.environ["RAY_AUTH_MODE"] = "token"
    import ray

    if told := unfit(ray.__version__):
        return told
    if told := _shut_out(address):
        return told
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
    if is_insecure or encryption(os.environ, is_platform=True):
        return None
    return _unprotected(ray.util.get_node_ip_address())


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


def _unprotected(address: str) -> Refusal | None:
    """Why a platform whose machine has this address in the cluster does not join it without encryption."""
    if is_loopback(address):
        return None
    return (
        "configuration",
        f"Calls, their inputs and keys would travel unprotected between {address} and the nodes of the Ray cluster",
        "Set RAY_USE_TLS=1 and Ray's certificates on every machine (README of algo-ray), or give --insecure-http if the"
        " cluster has a network of its own",
    )


def _shut_out(address: str) -> Refusal | None:
    """Why the platform does not get in, or nobody should: who has no token is to be refused, and ours accepted."""
    without, ours, end = _probe(address, "disabled"), _probe(address, "token"), time.monotonic() + _PROBE_SECONDS
    open_to_all, said = _said(without, end) is None, _said(ours, end)
    if open_to_all:
        return (
            "configuration",
            f"The Ray cluster at {address} lets everybody run code: it was started without token authentication",
            "Start its nodes with RAY_AUTH_MODE=token and one token: `ray get-auth-token --generate`",
        )
    if said is None:
        return None
    if "token" in said.lower():
        return (
            "configuration",
            f"The Ray cluster at {address} does not accept this machine's token, or there is none here",
            "Give RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH the token of the cluster",
        )
    return (
        "network",
        f"What listens at {address} is no Ray cluster, or does not answer",
        "`ray start --head` prints its address; where traffic is encrypted, RAY_USE_TLS has to be set here as well",
    )


def _probe(address: str, mode: str) -> subprocess.Popen[str]:
    """Ask the cluster for something harmless. In a process of its own: Ray ends one that has no token."""
    command = [sys.executable, "-I", "-c", f"import sys; sys.path[:] = {sys.path!r}\n{_PROBE}", address]
    environment = {**os.environ, "RAY_AUTH_MODE": mode}
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def _said(probe: subprocess.Popen[str], end: float) -> str | None:
    """Why it was refused; None if it was let in. `end` is a time of `time.monotonic`."""
    try:
        said = probe.communicate(timeout=max(0.0, end - time.monotonic()))[1]
    except subprocess.TimeoutExpired:
        probe.kill()
        probe.communicate()
        return "it does not answer"
    return said if probe.returncode else None


def _explained(address: str, error: Exception) -> Refusal:
    text = " ".join(str(error).split())[:500]
    if "ersion mismatch" in text:
        return (
            "configuration",
            f"The Ray cluster at {address} runs other versions than this machine: {text}",
            "Install the same version of Ray and of Python on all of them",
        )
    hint = "The platform's machine has to be a node of the cluster: `ray start --address ADDRESS --num-cpus 0`"
    return "network", f"The Ray cluster at {address} cannot be used: {text}", hint
