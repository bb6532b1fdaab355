"""What can go wrong with a transfer, and what is promised then: tested row by row, and shown in `docs/transfers.md`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from faults import wrongs
from faults.proxy import Fault

DIRECT, REQUESTS, TLS = "direct", "requests", "tls"

ALWAYS = 50
"""More often than anything is tried."""

DAMAGED, BROKEN, LATE = "damaged in transfer", "connection|early|Cannot reach", "No answer .* in time"

PATIENT = {"ALGO_TIMEOUT": "3"}
"""Seconds that a stall is waited for: more than a busy machine takes for an answer that comes."""

IMPATIENT = {"ALGO_RETRIES": "1"}
"""How often something is tried again, where it never gets better."""

BUSY = wrongs.status(429, retry_after="1")


@dataclass(frozen=True)
class Row:
    """Faults that one file meets in turn, and what `algo cp` makes of them.

    `code` is the exit code, `says` what stands on stderr if it fails. `tries` is the number of requests for the file,
    None where it is not promised; `share` how many times its size travels at most. `ways` are those on which it is
    tested: TLS only where it could make a difference. `is_replaced` says that the other version is what is to arrive,
    `is_removed` that nothing is there after a failure.
    """

    name: str
    faults: tuple[Fault, ...]
    promise: str
    tries: int | None
    share: float | None = 1.0
    code: int = 0
    says: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    ways: tuple[str, ...] = (DIRECT, REQUESTS)
    is_replaced: bool = False
    is_removed: bool = False

    @property
    def is_in_body(self) -> bool:
        """Whether something happens to the body, so that its size could make a difference."""
        return not wrongs.IN_BODY.isdisjoint(self.faults)


RESUMED = "resumes where it stopped"
AGAIN = "requested again"
ANEW = "starts over"
REFUSED = "fails; an older file stays"
EVERYWHERE = (DIRECT, REQUESTS, TLS)

DOWNLOADS = (
    Row("cut off in the body, 4 times", (wrongs.cut,) * 4, RESUMED, 5, ways=EVERYWHERE),
    Row("reset in the body, 4 times", (wrongs.reset_in_body,) * 4, RESUMED, 5, ways=EVERYWHERE),
    Row("reset before the response, twice", (wrongs.reset,) * 2, AGAIN, 3, ways=EVERYWHERE),
    Row("closed without a response, twice", (wrongs.drop,) * 2, AGAIN, 3, ways=EVERYWHERE),
    Row("reset after the body", (wrongs.reset_after_body,), "the file is whole", 1),
    Row("cut off in a chunk, twice", (wrongs.cut_in_chunk,) * 2, RESUMED, 3),
    Row("sent in chunks, without a length", (wrongs.in_chunks,), "the file is whole", 1),
    Row("cut off, without any length", (wrongs.cut_without_length,), "detected by the checksum; starts over", 2, 1.5),
    Row(
        "cut off, and then ranges are ignored",
        (wrongs.cut, wrongs.ignore_range),
        "bytes that have arrived are skipped",
        2,
        1.5,
    ),
    Row(
        "cut off, and then another part comes",
        (wrongs.cut, wrongs.other_range),
        "bytes that have arrived are skipped",
        2,
        1.5,
    ),
    Row(
        "cut off, and then another version comes",
        (wrongs.cut, *(wrongs.other_version,) * ALWAYS),
        "never mixed: starts over with the new version",
        None,
        None,
        is_replaced=True,
    ),
    Row(
        "cut off, and then closed without a response every time",
        (wrongs.cut, *(wrongs.drop,) * ALWAYS),
        REFUSED,
        None,
        0.5,
        6,
        BROKEN,
        environ=IMPATIENT,
    ),
    Row("429 with Retry-After, twice", (BUSY, BUSY), "waits as long as requested", 3),
    Row("429 without Retry-After", (wrongs.status(429),), AGAIN, 2),
    Row("500 once", (wrongs.status(500),), AGAIN, 2),
    Row("503, 3 times", (wrongs.status(503),) * 3, AGAIN, 4),
    Row("502, then 504", (wrongs.status(502), wrongs.status(504)), AGAIN, 3),
    Row("503 every time", (wrongs.status(503),) * ALWAYS, REFUSED, 5, 0, 7, "503"),
    Row("no response", (wrongs.stall,), "abandoned at the time limit, requested again", 2, environ=PATIENT),
    Row(
        "stalls in the head",
        (wrongs.stall_in_head,),
        "abandoned at the time limit, requested again",
        2,
        environ=PATIENT,
    ),
    Row(
        "stalls in the body",
        (wrongs.stall_in_body,),
        "abandoned at the time limit, resumes where it stopped",
        2,
        environ=PATIENT,
        ways=EVERYWHERE,
    ),
    Row(
        "stalls every time",
        (wrongs.stall,) * ALWAYS,
        REFUSED,
        2,
        0,
        6,
        LATE,
        environ=PATIENT | IMPATIENT,
    ),
    Row("a bit is wrong, once", (wrongs.damage,), "detected by the checksum; starts over", 2, 2.0),
    Row("a bit is wrong, every time", (wrongs.damage,) * ALWAYS, REFUSED, None, None, 7, DAMAGED, ways=EVERYWHERE),
    Row(
        "the content is not that of its Content-MD5",
        (wrongs.damage_with_digest,) * ALWAYS,
        REFUSED,
        None,
        None,
        7,
        DAMAGED,
    ),
    Row("a length that is too small", (wrongs.announce_less,) * ALWAYS, REFUSED, None, None, 7, DAMAGED),
    Row("a length that is too large", (wrongs.announce_more,) * ALWAYS, REFUSED, None, None, 6, BROKEN),
    Row("compressed without a request for it", (wrongs.compress,), "unpacked", 1),
    Row(
        "labelled as compressed, but is not",
        (wrongs.claim_compressed,) * ALWAYS,
        REFUSED,
        None,
        None,
        7,
        "Content-Encoding",
    ),
    Row("redirected", (wrongs.redirect,) * ALWAYS, "followed", None),
    Row("a log-in page with status 200", (wrongs.log_in_page,) * ALWAYS, REFUSED, 1, 0, 7, "not from the data API"),
    Row(
        "the server does not speak HTTP", (wrongs.gibberish,) * ALWAYS, REFUSED, 2, 0, 6, "HTTP|SSH", environ=IMPATIENT
    ),
    Row(
        "headers without end",
        (wrongs.endless_head,) * ALWAYS,
        REFUSED,
        2,
        0,
        6,
        "headers|connection",
        environ=IMPATIENT,
    ),
    Row("401", (wrongs.status(401),) * ALWAYS, REFUSED, 1, 0, 4, "401"),
    Row("403", (wrongs.status(403),) * ALWAYS, REFUSED, 1, 0, 4, "403"),
)

SENT_AGAIN = "sent again from its beginning"
NOT_MADE = "fails; no file, and an older one stays"

UPLOADS = (
    Row("reset before the body, twice", (wrongs.reset,) * 2, SENT_AGAIN, 3, ways=EVERYWHERE),
    Row("reset in the body, twice", (wrongs.reset_in_upload,) * 2, SENT_AGAIN, 3, None, ways=EVERYWHERE),
    Row("the response is lost", (wrongs.lose_answer,), SENT_AGAIN, 2, 2),
    Row("closed without a response, twice", (wrongs.drop,) * 2, SENT_AGAIN, 3, ways=EVERYWHERE),
    Row("429 with Retry-After, twice", (BUSY, BUSY), "waits as long as requested", 3, 3),
    Row("500, then 502", (wrongs.status(500), wrongs.status(502)), SENT_AGAIN, 3, 3),
    Row("503, then 504", (wrongs.status(503), wrongs.status(504)), SENT_AGAIN, 3, 3),
    Row("no response", (wrongs.stall,), "abandoned at the time limit, sent again", 2, 2, environ=PATIENT),
    Row(
        "the server stops reading the body",
        (wrongs.stall_in_upload,),
        "abandoned at the time limit, sent again",
        2,
        environ=PATIENT,
        ways=EVERYWHERE,
    ),
    Row("a bit is wrong, once", (wrongs.damage_in_upload,), "detected by the checksum; sent again", 2, 2),
    Row(
        "a bit is wrong, every time",
        (wrongs.damage_in_upload,) * ALWAYS,
        "fails; what was stored is removed",
        2,
        2,
        7,
        DAMAGED,
        ways=EVERYWHERE,
        is_removed=True,
    ),
    Row("refused before the body has come", (wrongs.refuse_early,) * ALWAYS, NOT_MADE, None, None, 1, "too large"),
    Row("redirected", (wrongs.redirect,) * ALWAYS, NOT_MADE, 1, 1, 7, "elsewhere|redirect"),
    Row("a log-in page with status 200", (wrongs.log_in_page,) * ALWAYS, NOT_MADE, 1, 1, 7, "not JSON"),
    Row("401 without a message", (wrongs.status(401),) * ALWAYS, NOT_MADE, 1, 1, 4, "401"),
    Row("403 without a message", (wrongs.status(403),) * ALWAYS, NOT_MADE, 1, 1, 4, "403"),
    Row("507 without a message", (wrongs.status(507),) * ALWAYS, NOT_MADE, 1, 1, 7, "507"),
    Row("503 every time", (wrongs.status(503),) * ALWAYS, NOT_MADE, 5, 5, 7, "503"),
    Row(
        "reset in the body, every time",
        (wrongs.reset_in_upload,) * ALWAYS,
        NOT_MADE,
        None,
        None,
        6,
        BROKEN,
        environ=IMPATIENT,
    ),
)
