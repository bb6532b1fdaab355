"""The private files of each running algorithm: a writable copy of its tree, a home, and a temporary directory.

Links to the published files would not do: writing through a link would change the code of all others. On file systems
that can share blocks between copies (btrfs, XFS), copies do so.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from algo_core.locks import acquire, is_held, locked
from algo_local.algorithms.source_trees.published import Node
from algo_local.execution.workers.process_tree import kill_marked
from algo_local.trees import remove_tree

SETTLED_SECONDS = 2.0
"""Age of a change from which each later one has another time: clocks of file systems tick slowly."""

_SMALL = 1 << 20  # bytes of a file that is copied by reading and writing it once


class Workspace:
    """The directory of one process, created at its start and removed after its end.

    Its owner holds a lock on a file in it, by which abandoned workspaces are recognized.
    """

    def __init__(self, path: Path, owner: int | None, held: int, kept: Iterable[str] = ()) -> None:
        """`owner` is the user id of its process, if not the platform's own; `held` is the locked file.

        `kept` are names in the temporary directory that stay between calls.
        """
        self.path = path
        self.owner = owner
        self.held = held
        self.tree, self.home, self.temporary = path / "algorithm", path / "home", path / "tmp"
        self.answers = path / "run" / "answers"
        self.kept = frozenset(kept)
        self._temporary = str(self.temporary)
        self._unchanged: int | None = None
        """Nanoseconds of the temporary directory's last change while it held no more than what is kept."""

    def fill(self, nodes: Sequence[Node]) -> None:
        """Make its directories, and copy `nodes` into it. OSError if that fails."""
        for directory in (self.tree, self.home, self.temporary, self.answers.parent):
            directory.mkdir()
            directory.chmod(0o755)  # independent of the umask; the directory above admits no other user
        os.mkfifo(self.answers, 0o600)
        if self.owner is not None:
            for private in (self.tree, self.home, self.temporary, self.answers):
                os.chown(private, self.owner, self.owner)
        for node in nodes:
            _copy(node, self.tree / node.name, self.owner)

    def remember_temporary(self) -> None:
        """Keep the current content of the temporary directory between calls: loading created it."""
        self.kept = frozenset(os.listdir(self._temporary))
        self._unchanged = None

    def empty_temporary(self) -> None:
        """Remove a call's files from the temporary directory.

        Raises:
            OSError: if a file cannot be removed.
        """
        status = os.stat(self._temporary)
        if status.st_ctime_ns == self._unchanged:
            return
        for name in os.listdir(self._temporary):
            if name not in self.kept:
                path = os.path.join(self._temporary, name)
                if stat.S_ISDIR(os.lstat(path).st_mode):
                    shutil.rmtree(path)
                else:
                    os.unlink(path)
        # A change within the clock's resolution would not show in the time.
        self._unchanged = status.st_ctime_ns if time.time() - status.st_ctime > SETTLED_SECONDS else None

    def remove(self) -> None:
        """Remove the workspace, as far as possible."""
        with contextlib.suppress(OSError):
            remove_tree(self.path)
        self.leave()

    def leave(self) -> None:
        """Release the workspace to another process."""
        os.close(self.held)


def _copy(node: Node, target: Path, owner: int | None) -> None:
    mode = node.status.st_mode
    if stat.S_ISDIR(mode):
        target.mkdir()
    elif stat.S_ISLNK(mode):
        target.symlink_to(os.readlink(node.path))
    else:
        _copy_file(node, target, 0o755 if mode & 0o111 else 0o644)
    if owner is not None:
        os.chown(target, owner, owner, follow_symlinks=False)


def _copy_file(node: Node, target: Path, mode: int) -> None:
    source = os.open(node.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        copy = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            if node.status.st_size < _SMALL or not _copied_by_system(source, copy):
                with open(source, "rb", closefd=False) as reader, open(copy, "wb", closefd=False) as writer:
                    shutil.copyfileobj(reader, writer, _SMALL)
            # Compiled files record the modification time of their source.
            os.utime(copy, ns=(node.status.st_atime_ns, node.status.st_mtime_ns))
        finally:
            os.close(copy)
    finally:
        os.close(source)


def _copied_by_system(source: int, copy: int) -> bool:
    """Have the kernel copy, with shared blocks if possible; False, with nothing copied, if it cannot."""
    done = 0
    try:
        while count := os.copy_file_range(source, copy, 1 << 30):
            done += count
    except (AttributeError, OSError):
        if done:
            raise
        return False
    return True


class Workspaces:
    """Makes workspaces in a directory, `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._is_swept = False

    def create(self, nodes: Sequence[Node], owner: int | None) -> Workspace:
        """A new workspace with a copy of `nodes`. OSError if the disk is full, or a file is missing."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with locked(self._root / ".lock"):
            # A short name: paths of sockets in its temporary directory are limited to about 100 bytes.
            path = Path(tempfile.mkdtemp(prefix="p-", dir=self._root))
            held = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            acquire(held, wait=True)
        workspace = Workspace(path, owner, held)
        try:
            workspace.fill(nodes)
        except BaseException:
            workspace.remove()
            raise
        if not self._is_swept:
            self._is_swept = True
            threading.Thread(target=remove_abandoned, args=(self._root,), name="algo-sweep", daemon=True).start()
        return workspace


def remove_abandoned(root: Path) -> None:
    """Remove workspaces of killed platforms, and kill their remaining processes."""
    with locked(root / ".lock"):
        abandoned = [path for path in root.glob("p-*") if not is_held(path / "lock")]
    for path in abandoned:
        kill_marked(f"HOME={path}/")
        with contextlib.suppress(OSError):
            remove_tree(path)
