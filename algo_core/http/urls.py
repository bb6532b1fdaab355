"""URLs: the origin, the target of a request line, and the target of a redirect."""

from __future__ import annotations

from urllib.parse import quote, urljoin, urlsplit, urlunsplit

PORTS = {"http": 80, "https": 443}

_RESERVED = "%/:=&?~#+!$,;'@()*[]"


def origin_of(url: str) -> str:
    """Scheme, host and port, as they stand in a URL; of one without a host what comes before the path."""
    scheme, slashes, rest = url.partition("://")
    return scheme + slashes + rest.partition("/")[0] if slashes else url.partition("/")[0]


def target_of(url: str) -> str:
    """Path and query of a URL: the target of a request line."""
    return "/" + url.split("/", 3)[3].partition("#")[0] if url.count("/") >= 3 else "/"


def is_target(text: str) -> bool:
    """Whether a request line can name it: no blank, no control character, nothing beyond ASCII."""
    return text.isascii() and text.isprintable() and " " not in text


def redirected(url: str, location: str) -> str:
    """Where a response from `url` with this `Location` leads; that may be written in UTF-8, read as Latin-1, unquoted.

    Raises:
        ValueError: if it is no URL.
    """
    return canonical(urljoin(url, quote(location.encode("latin-1", "replace"), safe=_RESERVED)))


def canonical(url: str) -> str:
    """A URL with its host in lower case, without a port that need not be said, and without a user's name.

    Raises:
        ValueError: if it is none.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    host = f"[{host}]" if ":" in host else host
    is_usual = port is None or port == PORTS.get(parts.scheme)
    return urlunsplit(parts._replace(netloc=host if is_usual else f"{host}:{port}"))


def homes(address: str) -> frozenset[str]:
    """The origins that are an address's own: TLS on the same host is as well, which some redirect to."""
    if not address.startswith(("http://", "https://")):
        return frozenset({origin_of(address)})
    home = origin_of(canonical(address))
    encrypted = home.replace("http://", "https://", 1) if urlsplit(home).port is None else home
    return frozenset({origin_of(address), home, encrypted})
