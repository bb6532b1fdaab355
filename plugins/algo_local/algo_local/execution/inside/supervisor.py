"""Supervises an algorithm's process: ends all its descendants when it or the platform ends (inside its own Python).

Started as `python supervisor.py CONTROL LIMITS UID PORT RUNTIME TREE MODULE FIFO [FORKS]`. This process forks; the
child becomes the algorithm (`runner.py`, or Node.js with `runner.js`, or R with `runner.R`), this one stays its parent,
runs no code of others, and waits for the first of two things:

* `CONTROL`, a socket whose other end the platform alone holds, closes: the platform wants the algorithm's end, or has
  itself come to its end, however that came about.
* The algorithm ends.

Then every descendant is killed, whatever session, group or parent it has chosen, and this process ends. In a sandbox it
is process 1, and the kernel does the killing; elsewhere it is the subreaper of its descendants.

On `CONTROL` it says `S` when it has started, `L` with a listening socket, if a `PORT` of a network of its own was asked
for, and `E` with the algorithm's exit code (a negative one is a signal's number), as a decimal number.

Imports the standard library only: the interpreter that runs this knows no package of ours, and is Python 3.6 or later.
So annotations that 3.6 cannot evaluate are quoted, and nothing newer is used.
"""

import os
import select
import signal
import sys

TYPE_CHECKING = False  # not that of `typing`, whose import costs as much as all others here
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_LIMITS = ("RLIMIT_DATA", "RLIMIT_NPROC", "RLIMIT_NOFILE", "RLIMIT_FSIZE")
_PR_SET_CHILD_SUBREAPER = 36
_BACKLOG = 128


def become_subreaper() -> None:
    """Become the parent of descendants whose own parent ends. Process 1 is that without asking."""
    if os.getpid() == 1 or sys.platform != "linux":
        return
    try:
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        pass  # an interpreter without: descendants that leave their parents are then found by their environment


def offer_listener(control: int, port: int) -> None:
    """Listen in this network and hand the socket to the platform, which cannot enter it otherwise."""
    import socket
    import struct

    with socket.socket(socket.AF_UNIX, fileno=os.dup(control)) as channel, socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen(_BACKLOG)
        channel.sendmsg([b"L"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", listener.fileno()))])


def restrict(limits: str, uid: str) -> None:
    """Set the limits of this process and its children for good, and give up being root where that was asked for."""
    import resource

    for name, text in zip(_LIMITS, limits.split(",")):  # noqa: B905 - new in Python 3.10
        number = getattr(resource, name, None)
        if number is None or not text:
            continue
        hard = resource.getrlimit(number)[1]
        value = int(text) if hard == resource.RLIM_INFINITY else min(int(text), hard)
        try:
            resource.setrlimit(number, (value, value))
        except (OSError, ValueError):
            pass  # a system that does not limit this, such as the size of data on macOS
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if uid:
        os.setgroups([])
        os.setresgid(int(uid), int(uid), int(uid))
        os.setresuid(int(uid), int(uid), int(uid))


def run_algorithm(go: int, runtime: str, tree: str, module: str, fifo: str, forks: str = "") -> int:
    """Become the algorithm, as soon as something can be read from `go`; returns its exit code.

    `runtime` is empty for this Python, `site` for this Python with its packages, or the path of Node.js or
    Rscript. `forks` is the socket on which replicas of it are asked for, if they may be forked (`replicas.py`).
    """
    os.chdir(tree)
    if os.path.isabs(runtime):
        os.read(go, 1)
        _become(runtime, tree, module, fifo)
    if runtime:
        # Only now, so that nothing of others has run with more rights than the algorithm's own.
        import site as packages

        packages.main()
    runner = _load("runner")
    replicas = _load("replicas")["Forks"](int(forks), globals()) if forks else None
    os.read(go, 1)
    os.close(go)
    code: int = runner["main"](tree, module, fifo, replicas)
    return code


def _become(runtime: str, *algorithm: str) -> None:
    """Run `runner.R` or `runner.js` instead of this.

    Node.js is told how much memory it may have, so that it tidies up in time.
    """
    runner = os.path.join(os.path.dirname(__file__), "runner")
    if os.path.basename(runtime) == "Rscript":
        os.execv(runtime, [runtime, "--vanilla", runner + ".R", *algorithm])
    import resource

    most = resource.getrlimit(resource.RLIMIT_DATA)[0]
    heap = [] if most == resource.RLIM_INFINITY else [f"--max-old-space-size={max(most * 4 // 5 >> 20, 16)}"]
    os.execv(runtime, [runtime, *heap, runner + ".js", *algorithm])


def _load(name: str) -> "dict[str, Any]":
    """The definitions of a file beside this one. Not imported by name: the algorithm may have a module of that name."""
    from importlib.machinery import SourceFileLoader

    loader = SourceFileLoader("_algo_" + name, os.path.join(os.path.dirname(__file__), name + ".py"))
    code = loader.get_code("_algo_" + name)
    assert code is not None
    names: dict[str, Any] = {"__name__": "_algo_" + name, "__file__": loader.path}
    exec(code, names)
    return names


def _children() -> "list[int]":
    """The child processes of this one."""
    try:
        with open("/proc/thread-self/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return [pid for pid in _processes() if _parent_of(pid) == os.getpid()]


def _processes() -> "list[int]":
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return []


def _parent_of(pid: int) -> "int | None":
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None


def _kill(send: "Callable[[int, int], None]", pid: int) -> None:
    try:
        send(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def end_descendants() -> None:
    """Kill every descendant and wait until none is left. Process 1 need not: they end with it."""
    if os.getpid() == 1:
        return
    while True:
        for pid in _children():
            _kill(os.kill, pid)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def supervise(control: int, wakeup: int, algorithm: int) -> None:
    """Wait for the algorithm's end or the platform's request to stop; report the exit code, and end all descendants."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(wakeup, select.POLLIN)
    status: int | None = None
    while status is None:
        ready = [fd for fd, _ in poll.poll()]
        if wakeup in ready:
            os.read(wakeup, 4096)
            status = _reap(algorithm)
        elif _closed(control):
            _kill(os.kill, algorithm)
            _kill(os.killpg, algorithm)
            break
    if status is not None:
        try:
            os.write(control, b"E%d\n" % (os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)))
        except OSError:
            pass  # the platform is gone as well
    end_descendants()


def _reap(algorithm: int) -> "int | None":
    """Reap ended children; returns the algorithm's status if it is among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if not pid:
            return found
        if pid == algorithm:
            found = status
            _kill(os.killpg, algorithm)  # all that can be done on systems without subreapers


def _closed(control: int) -> bool:
    try:
        return not os.read(control, 4096)
    except OSError:
        return True


def main(control: str, limits: str, uid: str, port: str, *algorithm: str) -> int:
    """Be both: the supervisor, and in a forked process the algorithm."""
    channel = int(control)
    os.write(channel, b"S")
    if port:
        offer_listener(channel, int(port))
    wakeup, write_end = os.pipe()
    go, start = os.pipe()
    os.set_blocking(write_end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(write_end)
    pid = os.fork()
    if pid:
        become_subreaper()
        for fd in map(int, algorithm[4:]):
            os.close(fd)
        os.write(start, b".")
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):  # the algorithm's alone, whose end is seen by theirs
            os.dup2(null, fd)
        supervise(channel, wakeup, pid)
        os._exit(0)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for fd in (channel, wakeup, write_end, start):
        os.close(fd)
    os.setsid()
    restrict(limits, uid)
    os.umask(0o022)
    return run_algorithm(go, *algorithm)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
