"""What can go wrong with one request, by name."""

from __future__ import annotations

import gzip
import json

from faults.proxy import Answer, Exchange, Fault

SMALL = 1000


def forward(exchange: Exchange) -> None:
    """All is well."""
    exchange.forward()


def status(code: int, *, body: bytes = b"", **headers: str) -> Fault:
    """Another answer in the place of the platform's: `status(429, retry_after="1")`."""

    def fault(exchange: Exchange) -> None:
        exchange.take()
        exchange.send(Answer(code, {}).changed(body, **headers))

    return fault


# Connections


def drop(exchange: Exchange) -> None:
    """Closed without an answer."""
    exchange.close()


def reset(exchange: Exchange) -> None:
    """Broken off without an answer."""
    exchange.reset()


def lose_answer(exchange: Exchange) -> None:
    """The platform does what it is asked, and the connection breaks off before it can say so."""
    exchange.answer()
    exchange.reset()


def close_after(exchange: Exchange) -> None:
    """All is well, and then the connection is closed without a word, as by a server that keeps no idle ones."""
    exchange.forward()
    exchange.close()


def stall(exchange: Exchange) -> None:
    """No answer, and the connection stays."""
    exchange.take()
    exchange.hold()


# Bodies of downloads


def _part(exchange: Exchange, share: float) -> None:
    answer = exchange.answer()
    exchange.send_head(answer)
    exchange.send_body(answer.body[: int(len(answer.body) * share)])


def cut(exchange: Exchange) -> None:
    """Half of what was announced."""
    _part(exchange, 0.5)
    exchange.close()


def reset_in_body(exchange: Exchange) -> None:
    """Half of it, then broken off."""
    _part(exchange, 0.5)
    exchange.reset()


def reset_after_body(exchange: Exchange) -> None:
    """All of it, then broken off."""
    _part(exchange, 1.0)
    exchange.reset()


def stall_in_head(exchange: Exchange) -> None:
    """Half a status line, then nothing."""
    exchange.take()
    exchange.connection.sock.sendall(b"HTTP/1.1 20")
    exchange.hold()


def stall_in_body(exchange: Exchange) -> None:
    """Half of it, then nothing."""
    _part(exchange, 0.5)
    exchange.hold()


def cut_without_length(exchange: Exchange) -> None:
    """Half of a body whose end is the end of the connection."""
    answer = exchange.answer()
    answer.headers.pop("content-length")
    exchange.send_head(Answer(answer.status, {**answer.headers, "connection": "close"}))
    exchange.send_body(answer.body[: len(answer.body) // 2])
    exchange.close()


def cut_in_chunk(exchange: Exchange) -> None:
    """Half of a body in chunks, cut off within one."""
    answer = exchange.answer()
    answer.headers.pop("content-length")
    exchange.send_head(Answer(answer.status, {**answer.headers, "transfer-encoding": "chunked"}))
    exchange.connection.sock.sendall(b"%x\r\n" % len(answer.body))
    exchange.send_body(answer.body[: len(answer.body) // 2])
    exchange.close()


def in_chunks(exchange: Exchange) -> None:
    """All is well, in chunks and without a length."""
    answer = exchange.answer()
    answer.headers.pop("content-length")
    exchange.send_head(Answer(answer.status, {**answer.headers, "transfer-encoding": "chunked"}))
    for start in range(0, len(answer.body), 100_000):
        part = answer.body[start : start + 100_000]
        exchange.connection.sock.sendall(b"%x\r\n%s\r\n" % (len(part), part))
        exchange.sent += len(part)
    exchange.connection.sock.sendall(b"0\r\n\r\n")


def announce_less(exchange: Exchange) -> None:
    """A `Content-Length` that is too small, and only so much."""
    answer = exchange.answer()
    exchange.send(answer.changed(answer.body[:-SMALL]))


def announce_more(exchange: Exchange) -> None:
    """A `Content-Length` that is too large; then the connection ends."""
    answer = exchange.answer()
    exchange.send_head(answer.changed(answer.body, content_length=str(len(answer.body) + SMALL)))
    exchange.send_body(answer.body)
    exchange.close()


def damage(exchange: Exchange) -> None:
    """One bit of it is another."""
    answer = exchange.answer()
    middle = len(answer.body) // 2
    exchange.send(answer.changed(answer.body[:middle] + bytes([answer.body[middle] ^ 1]) + answer.body[middle + 1 :]))


def damage_with_digest(exchange: Exchange) -> None:
    """The same, where the platform gives the digest as `Content-MD5` and no ETag."""
    import base64
    import hashlib

    answer = exchange.answer()
    answer.headers.pop("etag", None)
    digest = base64.b64encode(hashlib.md5(answer.body).digest()).decode()
    exchange.send(answer.changed(bytes([answer.body[0] ^ 1]) + answer.body[1:], content_md5=digest))


def compress(exchange: Exchange) -> None:
    """Compressed on the way, though nobody asked for it."""
    answer = exchange.answer()
    answer.headers.pop("etag", None)
    exchange.send(answer.changed(gzip.compress(answer.body, 1), content_encoding="gzip"))


def claim_compressed(exchange: Exchange) -> None:
    """Says that it is compressed, and is not."""
    answer = exchange.answer()
    exchange.send(answer.changed(answer.body, content_encoding="gzip"))


def ignore_range(exchange: Exchange) -> None:
    """The whole file, whatever part was asked for."""
    exchange.send(exchange.answer(range="", if_range=""))


def other_range(exchange: Exchange) -> None:
    """Another part than was asked for."""
    answer = exchange.answer(range="bytes=7-", if_range="")
    exchange.send(answer)


def other_version(exchange: Exchange) -> None:
    """Another version of the file, of the same length, that does not know `If-Range`."""
    answer = exchange.answer(range=exchange.headers.get("range", ""), if_range="")
    exchange.send(answer.changed(answer.body[::-1], etag='"another"'))


def log_in_page(exchange: Exchange) -> None:
    """Something on the way that wants a person to log in, with status 200."""
    exchange.take()
    exchange.send(Answer(200, {}).changed(b"<html>Please log in</html>", content_type="text/html"))


def redirect(exchange: Exchange) -> None:
    """The same object at another path of the same platform."""
    exchange.take()
    location = exchange.proxy.address + exchange.target.replace("/.my/", "/jane/")
    exchange.send(Answer(302, {}).changed(b"", location=location))


IN_BODY: frozenset[Fault] = frozenset(
    {
        *(cut, reset_in_body, reset_after_body, stall_in_body, cut_without_length, cut_in_chunk, in_chunks),
        *(announce_less, announce_more, damage, damage_with_digest, compress, claim_compressed),
        *(ignore_range, other_range, other_version, redirect),
    }
)
"""What happens to the body of a download."""


# Bodies of uploads


def reset_in_upload(exchange: Exchange) -> None:
    """Broken off when some of it has come."""
    exchange.take(min(100_000, exchange.length or 100_000))
    exchange.reset()


def damage_in_upload(exchange: Exchange) -> None:
    """One bit of what the platform gets is another."""
    content = bytearray(exchange.take())
    content[len(content) // 2] ^= 1
    exchange.send(exchange.proxy.origin(exchange.method, exchange.target, exchange.headers, bytes(content)))


def stall_in_upload(exchange: Exchange) -> None:
    """Some of it is taken, and no more."""
    exchange.take(min(1000, exchange.length or 1000))
    exchange.hold()


def refuse_early(exchange: Exchange) -> None:
    """Refused and closed before all of it has come."""
    exchange.take(1000)
    exchange.send(Answer(413, {}).changed(b'{"error":{"message":"too large"}}', content_type="application/json"))
    exchange.close()


# Answers that are none


def gibberish(exchange: Exchange) -> None:
    """Another protocol."""
    exchange.take()
    exchange.connection.sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    exchange.close()


def endless_head(exchange: Exchange) -> None:
    """Headers that never end."""
    exchange.take()
    exchange.connection.sock.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(100_000):
        exchange.connection.sock.sendall(b"X-%d: %s\r\n" % (number, b"x" * 1000))


def half(exchange: Exchange) -> None:
    """Half of the body, with the length of that."""
    answer = exchange.answer()
    exchange.send(answer.changed(answer.body[: len(answer.body) // 2]))


# Listings


def with_file(name: str, size: int) -> Fault:
    """A listing that holds one file more."""

    def fault(exchange: Exchange) -> None:
        answer = exchange.answer()
        page = json.loads(answer.body)
        page["files"].append({"filename": name, "size": size, "last_modified": "2016-01-06T10:22:34.000Z"})
        exchange.send(answer.changed(json.dumps(page).encode()))

    return fault


def file(content: bytes) -> Fault:
    """A file that the platform does not have."""

    def fault(exchange: Exchange) -> None:
        exchange.take()
        exchange.send(Answer(200, {}).changed(content, x_data_type="file"))

    return fault
