"""Sends one notification: signature, and POST request."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
import threading
import time

from algo_local.webhooks.target import Refused, Target, resolve

HEADER = "X-Algo-Signature"
CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0
"""After this time a connection is cut, whatever it does."""

GONE = 410
"""The status with which a receiver asks for no further attempt."""


class Undelivered(Exception):
    """The receiver did not accept it; the message is the reason. With `is_final`, no further attempt is made."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """The value of the header: `t=TIMESTAMP,v1=HMAC`, over the timestamp, a full stop and the body, with SHA-256."""
    mac = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"t={timestamp},v1={mac.hexdigest()}"


def send(target: Target, body: bytes, secret: str, *, allow_private: bool) -> None:
    """Post a notification, without following redirects and without a proxy.

    Raises:
        Undelivered: without a successful response.
    """
    headers = {
        "Host": target.authority,
        "Content-Type": "application/json",
        "User-Agent": "algo-local",
        HEADER: signature(secret, int(time.time()), body),
    }
    opened: list[socket.socket] = []
    watchdog = threading.Timer(TOTAL_SECONDS, _cut, (opened,))
    watchdog.daemon = True
    watchdog.start()
    try:
        status = _post(target, resolve(target, allow_private=allow_private), body, headers, opened)
    except Refused as error:
        raise Undelivered(str(error)) from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise Undelivered(f"{target.host}: {reason}"[:300]) from None
    finally:
        watchdog.cancel()
        for sock in opened:
            sock.close()
    if 300 <= status < 400:
        raise Undelivered(f"{target.host} redirects (status {status}), and redirects are not followed")
    if not 200 <= status < 300:
        raise Undelivered(f"{target.host} answered with status {status}", is_final=status == GONE)


def _post(target: Target, address: str, body: bytes, headers: dict[str, str], opened: list[socket.socket]) -> int:
    sock = socket.create_connection((address, target.port), CONNECT_SECONDS)
    opened.append(sock)
    sock.settimeout(TOTAL_SECONDS)
    if target.is_tls:
        import ssl

        sock = ssl.create_default_context().wrap_socket(sock, server_hostname=target.host)
        opened.append(sock)
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = sock
    connection.request("POST", target.path, body, headers)
    response = connection.getresponse()
    response.close()
    return response.status


def _cut(opened: list[socket.socket]) -> None:
    for sock in list(opened):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue
