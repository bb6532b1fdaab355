"""What other people could write to command a terminal, to hide something on it, or to speak in our name."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import termios
import threading
from typing import NamedTuple

from support.listing import HEADERS, file_entry, page
from support.stub import Answer, Seen, StubPlatform, json_answer

CODES = (
    "\x1b[0m", "\x1b[2J", "\x1b[31;1m", "\x1b]0;title\x07", "\x1b]8;;http://evil.example\x1b\\", "\x1b]52;c;ZXZpbA==\x07",
    "\x1bP$q\x1b\\", "\x1b_x\x1b\\", "\x1bc", "\x9b31m", "\x9d0;x\x9c", "\x85", "\x07", "\x08\x08", "\x7f", "\x0b", "\x0c",
    "\x0e\x0f", "\r", "\u202e", "\u2066\u2069", "\u061c", "\u200b", "\u2060", "\ufeff", "\u00ad", "\u2028", "\u3164",
    "\U000e0041", "\ufff9",
)  # fmt: skip
"""Controls, sequences of them, overrides of the direction, and what cannot be seen."""

FORGED = "FORGED"
EVIL = (
    "evil"
    + "".join(f"{code}x" for code in CODES)
    + f"\nhint: {FORGED}\r\nerror: {FORGED}\nwarning: {FORGED}\x1b[0m\nend"
)
"""All of them, and lines that would be ours."""

EVIL_NAME = EVIL.replace("/", "%")

_OURS = re.compile(r"\x1b\[(?:31;1merror: |33mwarning: |36mhint: )\x1b\[0m|\r\x1b\[[KJ]|(?<=left)\r|(?<=/s)\r")


def uncovered(shown: bytes) -> list[str]:
    """What a terminal has got that was neither our own styling nor harmless: no more than it takes to find it."""
    text = _OURS.sub("", shown.decode("utf-8", "surrogateescape").replace("\r\n", "\n"))
    return [
        ascii(text[max(0, found.start() - 40) : found.end() + 20])
        for found in re.finditer("[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff"
                                 "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]", text)
    ][:5]  # fmt: skip


def forged(shown: bytes) -> list[str]:
    """Lines that look like ours and are not."""
    lines = shown.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    return [
        line for line in lines if re.match(rf"(?:\x1b\[[\d;]*m)*(error|warning|hint): ?(?:\x1b\[0m)?{FORGED}", line)
    ]


class Shown(NamedTuple):
    """What two terminals have got from a process, and how it ended."""

    code: int
    stdout: bytes
    stderr: bytes


def on_two_terminals(command: list[str], environ: dict[str, str], cwd: str, *, seconds: float = 60) -> Shown:
    """Run a command with a terminal for each of its outputs; it is interrupted when it goes on for too long."""
    pairs = [pty.openpty() for _ in range(2)]
    for _, slave in pairs:
        attributes = termios.tcgetattr(slave)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
    process = subprocess.Popen(
        command, env=environ, cwd=cwd, stdin=subprocess.DEVNULL, stdout=pairs[0][1], stderr=pairs[1][1]
    )
    for _, slave in pairs:
        os.close(slave)
    timer = threading.Timer(seconds, process.terminate)
    timer.start()
    got: dict[int, bytes] = {master: b"" for master, _ in pairs}
    opened = set(got)
    while opened:
        for master in select.select(list(opened), [], [])[0]:
            try:
                data = os.read(master, 1 << 16)
            except OSError:  # EIO: the process has gone
                data = b""
            got[master] += data
            if not data:
                opened.discard(master)
                os.close(master)
    timer.cancel()
    return Shown(process.wait(), *got.values())


class HostilePlatform(StubPlatform):
    """Answers everything, and writes `EVIL` wherever a string can stand. With `refuses` every answer is a failure."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses = False

    def otherwise(self, request: Seen) -> Answer:
        """What is answered to a request that nothing was said about."""
        method, path = request.method, request.path.partition("?")[0]
        if self.refuses:
            return json_answer({"error": {"message": EVIL, "code": EVIL, "error_type": EVIL, "stacktrace": EVIL}}, 400)
        if path.startswith(("/v1/data/", "/v1/connector/")):
            return self._data(method, path)
        if path.startswith("/v1/algo/"):
            return json_answer(
                {
                    "result": EVIL,
                    "metadata": {"content_type": "text", "alerts": [EVIL], "stdout": EVIL, "duration": 0.1},
                    "request_id": EVIL,
                }
            )
        return json_answer([_ITEM] if "environment" in path else {**_ITEM, "results": [_ITEM], "result": EVIL})

    def _data(self, method: str, path: str) -> Answer:
        if method in {"PATCH", "PUT", "POST"}:
            return json_answer({"result": EVIL, "acl": {"read": [EVIL]}})
        if method == "DELETE":
            return json_answer({"result": {"deleted": 1}, "error": {"message": EVIL, "deleted": 1}})
        if path.endswith("file"):
            headers = {"X-Data-Type": "file", "Last-Modified": "Wed, 06 Jan 2016 10:22:34 GMT"}
            return Answer(200, EVIL.encode() + bytes(range(256)), headers)
        folders = [EVIL_NAME] if path.count("/") < 4 else []
        return Answer(200, page(folders, [file_entry(EVIL_NAME, 5)], acl={"read": [EVIL]}), dict(HEADERS))


_TEXTS = (
    "id name display_name description owner author algoname label title summary status message version version_info "
    "git_hash commit_sha environment_specification_id machine_type language created_at key username url state"
)
_MORE = (
    "api_key api_key_mask build_id content finished_at key_id key_label last_used_at logs member org_email org_label"
    " org_name output release_notes role sample_input sample_output secret_key semantic_version short_name started_at"
    " tagline algorithm_callability modified"
)
_PLAIN = dict.fromkeys([*_TEXTS.split(), *_MORE.split()], EVIL)
_ITEM = {
    **_PLAIN,
    **dict.fromkeys(("build", "compilation", "details", "permissions", "settings", "version_info"), _PLAIN),
}
