"""The sandbox of algorithms, with bubblewrap where that is installed: builds the command line of `bwrap`.

In the sandbox an algorithm sees its own processes, tree, home and temporary directory, its virtual environment, and the
system's programs and libraries. It sees no file of the platform or of users, no other process, and, if its network is
isolated, no address but the platform's.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from algo_core.errors import ConfigError
from algo_local.algorithms.languages.interpreters import base_interpreter, interpreter_base

if TYPE_CHECKING:
    from algo_local.execution.workers.workspace import Workspace

TREE, HOME, TEMPORARY, RUN, CODE = "/opt/algorithm", "/home/algo", "/tmp", "/run/algo", "/opt/algo"
"""Paths inside the sandbox (API section 8.4)."""

PORT = 9000
"""The platform's port inside an isolated network."""

CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""The variables for trusted certificates, for algorithms."""

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_STORES = ("/nix/store", "/gnu/store", "/home/linuxbrew/.linuxbrew")
"""Additional system directories for interpreters, if they exist."""

_IN_R = r"/R/bin/Rscript$"
"""Where R keeps its own programs, below the lib directory of its installation."""

_PREFIX_PARTS = ("bin", "lib", "lib64", "ssl")
_SETTINGS = (
    "alternatives", "ca-certificates", "crypto-policies", "fonts", "gai.conf", "host.conf", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "localtime", "magic", "mime.types", "nsswitch.conf", "pki/ca-trust/extracted", "pki/tls/certs",
    "protocols", "R/Renviron", "R/ldpaths", "services", "ssl/certs", "ssl/openssl.cnf", "timezone",
)  # fmt: skip
"""The visible files of /etc: no possible secrets."""

WITHOUT = "algorithms can read what you can, the platform's state included; install it with: apt-get install bubblewrap"
"""The consequence of a missing sandbox, and how to install it."""

_DEVICES = ("/dev/nvidia*", "/dev/dri", "/dev/kfd")
_TRIAL_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Shared:
    """A path of the machine that algorithms see, by `ALGO_LOCAL_SANDBOX_PATHS`."""

    path: Path
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The configuration of a sandbox."""

    program: str
    """Path of `bwrap`."""
    shared: tuple[Shared, ...] = ()
    hidden: tuple[Path, ...] = ()
    """Directories that must not be seen even if they lie in what is visible: the platform's state."""

    def command(
        self, workspace: Workspace, environment: Path | None, *, isolated: bool, runtime: str | None = None
    ) -> list[str]:
        """The beginning of a command line, which runs the command after it in the sandbox, as process 1.

        `environment` is a virtual environment; `isolated` gives it an empty network of its own; `runtime` is the path
        of Node.js or Rscript, if needed.
        """
        identity = workspace.owner if workspace.owner is not None else os.getuid()
        etc = _own_settings(workspace.path / "etc", identity)
        shown = [interpreter_base(environment), *([runtime] if runtime else [])]
        arguments = [
            *self._machine(interpreter_base(environment), isolated=isolated),
            *(_interpreter(runtime) if runtime else []),
            *_etc(etc, isolated=isolated),
            *_bind("--bind", workspace.temporary, TEMPORARY),
            *("--dir", "/var", "--symlink", TEMPORARY, "/var/tmp"),
            *_bind("--bind", workspace.home, HOME),
            *(option for one in self.shared for option in _share(one)),
            *(option for path in self.hidden if self._shows(path, shown) for option in ("--tmpfs", str(path))),
            *(_bind("--ro-bind", environment, environment) if environment else []),
            *_bind("--bind", workspace.tree, TREE),
            *_bind("--ro-bind", workspace.answers.parent, RUN),
            *_bind("--ro-bind", Path(__file__).parents[1] / "inside", CODE),
            *("--remount-ro", "/", "--chdir", "/"),
        ]
        if workspace.owner is not None:  # the supervisor drops root itself, for which it needs these two capabilities
            arguments += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        return arguments

    def trial(self) -> list[str]:
        """A command line without an algorithm, to test whether the sandbox works on this machine."""
        return self._machine(base_interpreter(), isolated=True)

    def _machine(self, program: str, *, isolated: bool) -> list[str]:
        """The arguments that all algorithms of one interpreter share."""
        return [
            self.program,
            *("--unshare-pid", "--as-pid-1", "--unshare-ipc", "--unshare-cgroup-try", "--cap-drop", "ALL"),
            *(["--unshare-net"] if isolated else []),
            *_system(),
            *_interpreter(program),
            *_existing("--ro-bind", [f"/etc/{name}" for name in _SETTINGS]),
            *("--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm"),
            *_existing("--dev-bind", [path for pattern in _DEVICES for path in glob.glob(pattern)]),
            *_existing("--ro-bind", ["/sys/devices/system"]),
        ]

    def _shows(self, path: Path, programs: Sequence[str]) -> bool:
        prefixes = (prefix for program in programs for prefix in _prefixes(program))
        visible = [*_SYSTEM, *prefixes, *(str(one.path) for one in self.shared)]
        return any(path.is_relative_to(directory) for directory in visible)


def _interpreter(program: str) -> list[str]:
    """Interpreter and standard library, unless the system's directories have them."""
    parts = [os.path.join(prefix, part) for prefix in _prefixes(program) for part in _PREFIX_PARTS]
    stores = [store for store in _STORES if os.path.realpath(program).startswith(f"{store}/")]
    return _existing("--ro-bind", [path for path in [*stores, *parts] if not path.startswith("/usr/")])


def _prefixes(program: str) -> list[str]:
    """The installation directories of an interpreter outside virtual environments."""
    places = (re.sub(_IN_R, "/Rscript", path) for path in (program, os.path.realpath(program)))
    prefixes = [os.path.dirname(os.path.dirname(path)) for path in places]
    ours = [sys.base_prefix, sys.base_exec_prefix] if program == base_interpreter() else []
    return list(dict.fromkeys([*ours, *prefixes]))


def _system() -> list[str]:
    arguments = []
    for path in _SYSTEM:
        if os.path.islink(path):
            arguments += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            arguments += ["--ro-bind", path, path]
    return arguments


def _etc(own: Path, *, isolated: bool) -> list[str]:
    arguments = []
    for name in ("passwd", "group"):
        arguments += _bind("--ro-bind", own / name, f"/etc/{name}")
    if isolated:
        return [*arguments, *_bind("--ro-bind", own / "hosts", "/etc/hosts")]
    for name in ("hosts", "resolv.conf"):
        arguments += _bind("--ro-bind-try", os.path.realpath(f"/etc/{name}"), f"/etc/{name}")
    return arguments


def _own_settings(directory: Path, identity: int) -> Path:
    """The user database inside the sandbox: only the algorithm's user."""
    contents = {
        "passwd": f"algo:x:{identity}:{identity}:algo:{HOME}:/bin/sh\n",
        "group": f"algo:x:{identity}:\n",
        "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    }
    directory.mkdir()
    for name, content in contents.items():
        directory.joinpath(name).write_text(content)
        directory.joinpath(name).chmod(0o444)  # independent of the umask
    return directory


def _bind(option: str, source: Path | str, target: Path | str) -> list[str]:
    # bwrap creates parent directories of mounts with mode 0700, but directories by `--dir` readable for all.
    return ["--dir", os.path.dirname(target), option, str(source), str(target)]


def _existing(option: str, paths: Sequence[str]) -> list[str]:
    return [part for path in paths if os.path.exists(path) for part in _bind(option, path, path)]


def _share(shared: Shared) -> list[str]:
    return _bind("--bind-try" if shared.writable else "--ro-bind-try", shared.path, shared.path)


def shared_paths(text: str) -> tuple[Shared, ...]:
    """Read `ALGO_LOCAL_SANDBOX_PATHS`: absolute paths, separated by `:`; `PATH=rw` is writable."""
    found = []
    for part in filter(None, text.split(":")):
        path, _, mode = part.partition("=")
        if not os.path.isabs(path) or mode not in ("", "ro", "rw"):
            raise ConfigError(
                f"ALGO_LOCAL_SANDBOX_PATHS must be absolute paths with ':' between them, not {part!r}",
                "For example /data/models:/scratch=rw, or unset ALGO_LOCAL_SANDBOX_PATHS",
            )
        found.append(Shared(Path(path), mode == "rw"))
    return tuple(found)


@dataclass(slots=True)
class Protection:
    """The protection of this machine from algorithms: a sandbox, or the reason for its absence."""

    sandbox: Sandbox | None
    reason: str
    """Why there is no sandbox, or which one there is, as a part of a sentence."""
    required: bool = False
    """Whether a sandbox is required."""

    def fails_here(self) -> bool:
        """Try the sandbox; if it does not work on this machine, record the reason and return True."""
        trouble = _trial(self.sandbox) if self.sandbox else ""
        if trouble:
            self.sandbox, self.reason = None, f"bubblewrap does not work here: {trouble}"
        return bool(trouble)


def protection(root: Path, environ: Mapping[str, str] = os.environ, *, try_it: bool = True) -> Protection:
    """The sandbox for algorithms of the platform in `root`, as `ALGO_LOCAL_SANDBOX` wants it.

    Without `try_it`, an installed bubblewrap is assumed to work.

    Raises:
        ConfigError: if a variable cannot be understood.
    """
    wanted = environ.get("ALGO_LOCAL_SANDBOX", "").strip().lower() or "auto"
    if wanted not in ("auto", "required", "off"):
        raise ConfigError(
            f"ALGO_LOCAL_SANDBOX must be auto, required or off, not {wanted!r}", "Correct or unset ALGO_LOCAL_SANDBOX"
        )
    if wanted == "off":
        return Protection(None, "ALGO_LOCAL_SANDBOX is off")
    trusted = tuple(Shared(Path(environ[name])) for name in CA_VARIABLES if os.path.exists(environ.get(name, "")))
    shared = (*trusted, *shared_paths(environ.get("ALGO_LOCAL_SANDBOX_PATHS", "")))
    required = wanted == "required"
    program = shutil.which("bwrap", path=environ.get("PATH"))
    if not program:
        return Protection(None, "bubblewrap is not installed", required)
    found = Protection(Sandbox(program, shared, (root,)), f"bubblewrap ({program})", required)
    if try_it:
        found.fails_here()
    return found


def _trial(sandbox: Sandbox) -> str:
    """The reason why an interpreter does not run in the sandbox here; empty if it does.

    Many containers forbid namespaces, and an interpreter may need files that the sandbox hides.
    """
    command = [*sandbox.trial(), base_interpreter(), "-S", "-I", "-c", ""]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TRIAL_SECONDS, check=False, text=True)
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}" if done.returncode else ""
