"""A small Dropbox: the routes of the published HTTP contract (v2, /files) that a storage needs, with its error bodies.

Paths are found whatever their case, folders appear with what is put into them, uploads above one request go through
sessions, and whoever asks too often is told to wait (429 with `Retry-After`).
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

KEY = "sl.test-token"
PAGE = 50
"""Entries of a page of list_folder."""


@dataclass
class Node:
    """A file, or a folder if it has no content."""

    path: str
    content: bytes | None
    rev: str
    modified: str


@dataclass
class DropboxServer:
    """What the server holds, and what it was asked for. `busy` says how often each route answers 429 first."""

    nodes: dict[str, Node] = field(default_factory=dict)
    sessions: dict[str, bytearray] = field(default_factory=dict)
    cursors: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    busy: Counter[str] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    count: int = 0
    address: str = ""

    def start(self) -> str:
        """Serve on a free port of the loopback interface; its address."""
        handler = type("Handler", (_Handler,), {"dropbox": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def put(self, path: str, content: bytes | None) -> Node:
        """A file or folder, and the folders above it."""
        self.count += 1
        above = path.rpartition("/")[0]
        if above and above.lower() not in self.nodes:
            self.put(above, None)
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        older = self.nodes.get(path.lower())
        node = Node(older.path if older else path, content, f"{self.count:015x}", now)
        self.nodes[path.lower()] = node
        return node

    def below(self, path: str) -> list[Node]:
        return [node for key, node in sorted(self.nodes.items()) if key.startswith(f"{path.lower()}/")]


class Refused(Exception):
    """An error of a route: the tags from the outside to the inside, and further members of the innermost."""

    def __init__(self, *tags: str, **members: Any) -> None:
        self.summary = "/".join(tags) + "/..."
        self.error: dict[str, Any] = {".tag": tags[-1], **members}
        for tag in reversed(tags[:-1]):
            self.error = {".tag": tag, tag: self.error}


class _Handler(BaseHTTPRequestHandler):
    dropbox: DropboxServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet

    def do_POST(self) -> None:
        route = self.path.removeprefix("/2/files/")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/upload/") and self.headers["Content-Type"] == "application/octet-stream":
            self.dropbox.put(unquote(self.path.removeprefix("/upload")), body)
            self._answer(200, {"content-hash": _content_hash(body)})
            return
        with self.dropbox.lock:
            self.dropbox.log.append(route)
            if self.headers.get("Authorization") != f"Bearer {KEY}":
                self._answer(
                    401, {"error_summary": "invalid_access_token/...", "error": {".tag": "invalid_access_token"}}
                )
                return
            if self.dropbox.busy[route] > 0:
                self.dropbox.busy[route] -= 1
                error = {"reason": {".tag": "too_many_requests"}, "retry_after": 0}
                self._answer(429, {"error_summary": "too_many_requests/...", "error": error}, {"Retry-After": "0"})
                return
            is_content = "Dropbox-API-Arg" in self.headers
            argument = json.loads(self.headers["Dropbox-API-Arg"] if is_content else body or b"null")
            method = getattr(self, "on_" + route.replace("/", "_"), None)
            if method is None:
                self._answer(400, None, text=f"Unknown API function: {route}")
                return
            try:
                method(argument, body)
            except Refused as refused:
                self._answer(409, {"error_summary": refused.summary, "error": refused.error})

    # Metadata and folders

    def on_get_metadata(self, argument: Any, body: bytes) -> None:
        self._answer(200, _described(self._found(argument["path"], "path")))

    def on_list_folder(self, argument: Any, body: bytes) -> None:
        path = argument["path"]
        if path and self._found(path, "path").content is not None:
            raise Refused("path", "not_folder")
        inside = self.dropbox.below(path)
        if not argument.get("recursive"):
            inside = [node for node in inside if node.path.count("/") == path.count("/") + 1]
        self._page([_described(node) for node in inside])

    def on_list_folder_continue(self, argument: Any, body: bytes) -> None:
        if argument["cursor"] not in self.dropbox.cursors:
            raise Refused("reset")
        self._page(self.dropbox.cursors.pop(argument["cursor"]))

    def _page(self, entries: list[Any]) -> None:
        self.dropbox.count += 1
        cursor = f"cursor{self.dropbox.count}"
        self.dropbox.cursors[cursor] = entries[PAGE:]
        self._answer(200, {"entries": entries[:PAGE], "cursor": cursor, "has_more": len(entries) > PAGE})

    def on_create_folder_v2(self, argument: Any, body: bytes) -> None:
        if older := self.dropbox.nodes.get(argument["path"].lower()):
            raise Refused("path", "conflict", "folder" if older.content is None else "file")
        self._answer(200, {"metadata": _described(self.dropbox.put(argument["path"], None), tagged=False)})

    def on_delete_v2(self, argument: Any, body: bytes) -> None:
        node = self._found(argument["path"], "path_lookup")
        for each in [node, *self.dropbox.below(node.path)]:
            del self.dropbox.nodes[each.path.lower()]
        self._answer(200, {"metadata": _described(node)})

    # Content

    def on_get_temporary_link(self, argument: Any, body: bytes) -> None:
        node = self._found(argument["path"], "path")
        if node.content is None:
            raise Refused("path", "not_file")
        link = f"{self.dropbox.address}/link{quote(node.path)}"
        self._answer(200, {"metadata": _described(node, tagged=False), "link": link})

    def on_get_temporary_upload_link(self, argument: Any, body: bytes) -> None:
        assert 60 <= argument["duration"] <= 4 * 3600
        assert argument["commit_info"]["mode"][".tag"] == "overwrite"
        self._answer(200, {"link": f"{self.dropbox.address}/upload{quote(argument['commit_info']['path'])}"})

    def do_GET(self) -> None:
        node = self.dropbox.nodes[unquote(self.path.removeprefix("/link")).lower()]
        assert node.content is not None
        self._send(200, node.content, {"Content-Type": "application/octet-stream"})

    def on_download(self, argument: Any, body: bytes) -> None:
        node = self._found(argument["path"], "path")
        if node.content is None:
            raise Refused("path", "not_file")
        headers = {
            "Dropbox-API-Result": json.dumps(_described(node, tagged=False)),
            "Content-Type": "application/octet-stream",
        }
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        content, status = node.content, 200
        if match:
            start, last = int(match[1]), int(match[2] or len(content)) + 1
            if start >= len(content):
                self._answer(416, None, {"Content-Range": f"bytes */{len(content)}"}, text="")
                return
            headers["Content-Range"] = f"bytes {start}-{min(last, len(content)) - 1}/{len(content)}"
            content, status = content[start:last], 206
        self._send(status, content, headers)

    def on_upload(self, argument: Any, body: bytes) -> None:
        self._commit(argument, body)

    def on_upload_session_start(self, argument: Any, body: bytes) -> None:
        self.dropbox.count += 1
        name = f"session{self.dropbox.count}"
        self.dropbox.sessions[name] = bytearray(body)
        self._answer(200, {"session_id": name})

    def on_upload_session_append_v2(self, argument: Any, body: bytes) -> None:
        self._session(argument["cursor"]).extend(body)
        self._answer(200, None)

    def on_upload_session_finish(self, argument: Any, body: bytes) -> None:
        session = self._session(argument["cursor"], "lookup_failed")
        session.extend(body)
        self._commit(argument["commit"], bytes(session), in_session=True)
        del self.dropbox.sessions[argument["cursor"]["session_id"]]

    def _session(self, cursor: Any, *outside: str) -> bytearray:
        session = self.dropbox.sessions.get(cursor["session_id"])
        if session is None:
            raise Refused(*outside, "not_found")
        if cursor["offset"] != len(session):
            raise Refused(*outside, "incorrect_offset", correct_offset=len(session))
        return session

    def _commit(self, commit: Any, content: bytes, *, in_session: bool = False) -> None:
        path = commit["path"]
        older = self.dropbox.nodes.get(path.lower())
        mode = commit["mode"]
        is_met = {"overwrite": True, "add": older is None}.get(mode[".tag"], older and older.rev == mode.get("update"))
        conflict = "folder" if older and older.content is None else None if is_met else "file"
        if conflict:
            refused = Refused("path", "conflict", conflict)
            if not in_session:
                error = {".tag": "conflict", "conflict": {".tag": conflict}}
                refused.error = {".tag": "path", "reason": error, "upload_session_id": "x"}
            raise refused
        self._answer(200, _described(self.dropbox.put(path, content), tagged=False))

    def _found(self, path: str, *outside: str) -> Node:
        if path and not re.fullmatch(r"(/[^/]+)+", path):
            raise Refused(*outside, "malformed_path")
        node = self.dropbox.nodes.get(path.lower())
        if node is None:
            raise Refused(*outside, "not_found")
        return node

    # Answers

    def _answer(self, status: int, value: Any, headers: dict[str, str] | None = None, text: str | None = None) -> None:
        body = json.dumps(value).encode() if text is None else text.encode()
        kind = "application/json" if text is None else "text/plain; charset=utf-8"
        self._send(status, body, {"Content-Type": kind, **(headers or {})})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in {"X-Dropbox-Request-Id": "1", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _described(node: Node, *, tagged: bool = True) -> dict[str, Any]:
    known = {
        "name": node.path.rpartition("/")[2],
        "path_lower": node.path.lower(),
        "path_display": node.path,
        "id": f"id:{hashlib.sha256(node.path.lower().encode()).hexdigest()[:20]}",
    }
    tag = "folder" if node.content is None else "file"
    if node.content is not None:
        known |= {
            "client_modified": node.modified,
            "server_modified": node.modified,
            "rev": node.rev,
            "size": len(node.content),  # type: ignore[dict-item]  # a number among texts
            "content_hash": _content_hash(node.content),
        }
    return {".tag": tag, **known} if tagged else known


def _content_hash(content: bytes) -> str:
    step = 4 << 20
    blocks = [hashlib.sha256(content[start : start + step]).digest() for start in range(0, len(content), step)]
    return hashlib.sha256(b"".join(blocks)).hexdigest()
