"""Addresses of notifications, and which are permitted: a client must not reach the platform's network through them."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

from algo_core.errors import RequestRefused

LONGEST = 2048
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_HOST = re.compile(r"[A-Za-z0-9._:-]+")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Target(NamedTuple):
    """A parsed address."""

    is_tls: bool
    host: str
    port: int
    path: str
    """With the query."""

    @property
    def authority(self) -> str:
        """The value of the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"


class Refused(Exception):
    """The platform does not send to an address; the message is the reason."""


def parse(url: str) -> Target:
    """The parts of an address.

    Raises:
        RequestRefused: if it is not one of http or https, or has parts that mean nothing here.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _invalid(url, "it is no URL") from None
    host = parts.hostname or ""
    if len(url) > LONGEST:
        raise _invalid(url, f"it is longer than {LONGEST} characters")
    if parts.scheme not in {"http", "https"}:
        raise _invalid(url, "it does not begin with http:// or https://")
    if not _PRINTABLE.fullmatch(url) or not _HOST.fullmatch(host) or port == 0:
        raise _invalid(url, "it is no URL with a host, in printable ASCII")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise _invalid(url, "it has a user name, a password or a fragment")
    is_tls = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(is_tls, host, port or (443 if is_tls else 80), path)


def _invalid(url: str, reason: str) -> RequestRefused:
    return RequestRefused(f"No address for a notification: {url[:100]!r}: {reason}")


def resolve(target: Target, *, allow_private: bool) -> str:
    """A permitted numeric address of the host. The caller connects to it without another name lookup.

    Raises:
        Refused: if the host has no permitted address.
        OSError: if the name cannot be resolved.
    """
    found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    numbers = [str(entry[4][0]) for entry in found]
    for number in numbers:
        if is_permitted(ipaddress.ip_address(number.partition("%")[0]), allow_private=allow_private):
            return number
    raise Refused(f"{target.host} is at {numbers[0]}, to which this platform sends nothing")


def is_permitted(address: Address, *, allow_private: bool) -> bool:
    """Whether notifications go to an address: never to link-local ones, where clouds keep credentials, or to many."""
    within = _within(address)
    if within is not None and not is_permitted(within, allow_private=allow_private):
        return False
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    is_public = address.is_global and not address.is_reserved and not getattr(address, "is_site_local", False)
    return is_public or within is not None or allow_private


def _within(address: Address) -> Address | None:
    """The IPv4 address embedded in an IPv6 address; None if there is none."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
