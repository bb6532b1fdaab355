"""The audit log: one line of JSON for each event, whole also where many processes write."""

from __future__ import annotations

import functools
import json
import os
from datetime import datetime, timezone

from algo_core.events import Event
from algo_core.locks import acquire


def note(event: Event, path: str) -> None:
    """Append an event to a log.

    A line that does not fit on the disk is taken back, so that the next one does not continue it.

    Raises:
        OSError: if it cannot be written.
    """
    members = event._asdict()
    at = datetime.fromtimestamp(members.pop("time"), timezone.utc).isoformat(timespec="milliseconds")
    line = json.dumps({"at": at, "user": user(), "process": os.getpid(), "event": type(event).__name__, **members})
    data = line.encode() + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        acquire(descriptor, wait=True)
        end = os.lseek(descriptor, 0, os.SEEK_END)
        if os.write(descriptor, data) != len(data):
            os.ftruncate(descriptor, end)
            raise OSError(f"{path} takes no whole line")
    finally:
        os.close(descriptor)


@functools.cache
def user() -> str:
    """The account that runs this process, whatever the environment says."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
