"""npm: the package.json of an algorithm in JavaScript, and its installation."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algo_core.text import decoded
from algo_local.algorithms.build import BuildError
from algo_local.algorithms.installation.install_failure import Reason
from algo_local.algorithms.installation.installing import run
from algo_local.algorithms.languages.interpreters import Report
from algo_local.algorithms.languages.node import INSTALL, Node

PACKAGE = "package.json"
MODULES = "node_modules"
LOCKS = ("npm-shrinkwrap.json", "package-lock.json")
"""The files that pin versions; npm takes the first that it finds."""
_OTHER_LOCKS = ("yarn.lock", "pnpm-lock.yaml", "bun.lock")
_SETTINGS = ".npmrc"
_DEPENDENCIES = ("dependencies", "optionalDependencies")
_FOR_TESTS = "devDependencies"
_DECISIVE = (*_DEPENDENCIES, "peerDependencies", "overrides", "bundleDependencies", "workspaces", "engines")
_INSTALL_SCRIPTS = ("preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare")
_BY_NAME = re.compile(r"(npm:(@[\w.-]+/)?[\w.-]+(@.*)?|[^:/]*)", re.ASCII)
"""What stands for a version in the registry, not for a file, an address or a repository."""

_ELSEWHERE = re.compile(r'"(?:resolved|version)"\s*:\s*"((?!https?:|npm:)[^"]*[:/][^"]*)"')
"""An entry of a file that pins versions which does not come from a registry."""

_CODE_HINT = (
    "Publish it with 'algo local publish' on the platform's machine, or have its operator set ALGO_LOCAL_BUILD_CODE=on"
)


@dataclass(frozen=True, slots=True)
class Package:
    """The package.json of a source tree, and the files beside it that npm reads."""

    members: dict[str, Any]
    lock: str = ""
    """The name of the file that pins versions."""
    locked: str = ""
    settings: str = ""

    def requires(self, *, with_tests: bool) -> dict[str, str]:
        """Versions, or what stands for them, by the names of packages."""
        kinds = (*_DEPENDENCIES, *([_FOR_TESTS] if with_tests else []))
        return {name: wanted for kind in kinds for name, wanted in self.members.get(kind, {}).items()}

    def lines(self, *, with_tests: bool) -> list[str]:
        """The same as text."""
        return sorted(f"{name}@{wanted}" for name, wanted in self.requires(with_tests=with_tests).items())

    def check_names_only(self) -> None:
        """Raise BuildError unless all that is required comes from the registry, by name and version."""
        for kind in (*_DEPENDENCIES, "peerDependencies", "overrides"):
            for name, wanted in _texts_in(self.members.get(kind)):
                if not _BY_NAME.fullmatch(wanted):
                    raise _refused(PACKAGE, f"{name}: {wanted[:100]!r}")
        if self.members.get("workspaces"):
            raise _refused(PACKAGE, "workspaces")
        if match := _ELSEWHERE.search(self.locked):
            raise _refused(self.lock, repr(match[1][:100]))

    def identity(self, commit: str, node: Node, *, run_code: bool, with_tests: bool) -> bytes:
        """Equal for equal requirements on an equal Node.js; those that name files depend on the tree as well."""
        requires = self.requires(with_tests=with_tests)
        wanted = [text for kind in (*_DECISIVE, _FOR_TESTS) for _, text in _texts_in(self.members.get(kind))]
        scripts = {name: text for name, text in self.members.get("scripts", {}).items() if name in _INSTALL_SCRIPTS}
        names_files = bool(scripts or self.members.get("workspaces")) or not all(map(_BY_NAME.fullmatch, wanted))
        parts = {
            "package": {name: self.members[name] for name in _DECISIVE if self.members.get(name)} if requires else {},
            "tests": self.members.get(_FOR_TESTS) if with_tests else None,
            "locked": self.locked if requires else "",
            "settings": self.settings if requires and run_code else "",
            "commit": commit if requires and names_files else "",
            "registry": os.environ.get("npm_config_registry", "") if requires else "",  # noqa: SIM112 - as npm has it
            "node": [node.text, node.program, os.uname().machine],
            "run_code": run_code or not requires,
        }
        return json.dumps(parts, sort_keys=True).encode()


def _texts_in(members: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """The texts in an object, and in objects in that, by their names."""
    if isinstance(members, dict):
        for name, value in members.items():
            yield from _texts_in(value, name)
    elif isinstance(members, str):
        yield name, members


def _refused(file: str, what: str) -> BuildError:
    return BuildError(f"{file} may name packages of the registry only here, not {what}", _CODE_HINT)


def read_package(directory: Path) -> Package:
    """The package.json of a directory; an empty one if there is none.

    Raises:
        BuildError: if it, or a file that it needs, cannot be read.
    """
    text = _read(directory / PACKAGE)
    try:
        members = json.loads(text) if text is not None else {}
    except ValueError as error:
        raise BuildError(f"{PACKAGE} is not JSON: {error}", f"Correct {PACKAGE}") from error
    if not isinstance(members, dict):
        raise BuildError(
            f"{PACKAGE} does not hold a JSON object", f"Correct {PACKAGE}; it looks like " + '{"dependencies": {}}'
        )
    for kind in (*_DEPENDENCIES, _FOR_TESTS, "scripts"):
        value = members.get(kind, {})
        if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
            raise BuildError(f"{PACKAGE}: {kind!r} must be an object of texts", f"Correct {kind!r} in {PACKAGE}")
    found = {name: text for name in LOCKS if (text := _read(directory / name)) is not None}
    lock = next(iter(found), "")
    return Package(members, lock, found.get(lock, ""), _read(directory / _SETTINGS) or "")


def _read(path: Path) -> str | None:
    try:
        return decoded(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise BuildError(f"Cannot read {path.name}: {error}") from error


def install(node: Node, package: Package, directory: Path, report: Report, *, run_code: bool, with_tests: bool) -> None:
    """Install what a package requires into `node_modules` of a directory, which has its files.

    Raises:
        BuildError: if that fails, with the reason that npm gives.
    """
    if not node.npm:
        raise BuildError(f"npm is missing beside Node.js {node.text}, and {PACKAGE} has dependencies", INSTALL)
    options = ["--no-audit", "--no-fund", "--no-progress", "--no-update-notifier", "--install-links", "--logs-max=0"]
    options += ["--include=dev"] if with_tests else ["--omit=dev"]
    if not run_code:
        (directory / _SETTINGS).unlink(missing_ok=True)
        options += ["--ignore-scripts", "--replace-registry-host=always", "--git=/bin/false"]
    report(f"Installing {PACKAGE} with Node.js {node.text}")
    for other in _OTHER_LOCKS:
        if not package.lock and (directory / other).exists():
            report(f"{other} is not read: npm installs, which pins versions in {LOCKS[-1]}")
    command = [node.npm, "ci" if package.lock else "install", *options]
    variables = {
        "PATH": f"{os.path.dirname(node.program)}:{os.environ.get('PATH', os.defpath)}",
        "NODE_OPTIONS": "",
        "NODE_ENV": "",
        "NODE_PATH": "",
    }
    run(command, directory, f"Installing {PACKAGE}", report, variables, lambda lines: reason_of(lines, package))


_PREFIX = re.compile(r"npm (?:error|ERR!) ?(.*)")
_CODE = re.compile(r"code (E\w+|\d+)")
_NOT_FOUND = re.compile(
    r"404\s+(?:The requested resource )?'((?:@[\w.-]+/)?[\w.-]+)@[^']*' (?:is not in|could not be found)"
)
_NO_VERSION = re.compile(r"notarget (No matching version found for ((?:@[^@\s]+/)?[^@\s]+)@[^.\s]*(?:\.[^.\s]+)*)\.?$")
_PATH = re.compile(r"path .*/node_modules/((?:@[^/\s]+/)?[^/\s]+)|path .*/tree(?:/(\S+))?$")
_UNREACHABLE = frozenset(
    {"ENOTFOUND", "ECONNREFUSED", "EAI_AGAIN", "ETIMEDOUT", "ECONNRESET", "ENETUNREACH", "ERR_SOCKET_TIMEOUT"}
)
_NOISE = re.compile(r"code |errno |syscall |A complete log|Log files|path |command |signal |$")
_TOLD = 3
"""Lines of a conflict that are shown."""


def reason_of(lines: Sequence[str], package: Package) -> Reason | None:
    """The reason in npm's output; None if it gives none."""
    said = [match[1] for line in lines if (match := _PREFIX.match(line))]
    code = next((match[1] for line in said if (match := _CODE.fullmatch(line.strip()))), "")
    text = [line for line in said if not _NOISE.match(line)]
    if code in _UNREACHABLE:
        return Reason("the package registry cannot be reached", "Check the network, then try again")
    for line in said:
        if match := _NOT_FOUND.match(line.strip()):
            return Reason(f"the registry has no package {match[1]!r}", f"Check the name: {_where(package, match[1])}")
        if match := _NO_VERSION.match(line.strip()):
            return Reason(_lower(match[1]), f"Change {_where(package, match[2])}; see: npm view {match[2]} versions")
    if code == "ERESOLVE":
        told = [" ".join(line.split()) for line in text if line.startswith(("Found:", "peer ")) or " peer " in line]
        return Reason(
            "versions of packages contradict each other", "; ".join([*told[:_TOLD], f"change one in {PACKAGE}"])
        )
    if code == "EUSAGE" and package.lock:
        return Reason(f"{package.lock} does not fit {PACKAGE}", "Bring it up to date: npm install; or remove it")
    if code.isdigit() and (path := next((match for line in said if (match := _PATH.match(line))), None)):
        if path[1]:
            return Reason(f"{path[1]} could not be built: {_cause(text)}", f"Change {_where(package, path[1])}")
        place = f"{path[2]}/{PACKAGE}" if path[2] else PACKAGE
        return Reason(f"a script of {place} failed: {_cause(text)}", f"Correct 'scripts' in {place}")
    return Reason(_lower(text[0].removeprefix(f"{code} ")), f"Correct {PACKAGE}") if text else None


def _where(package: Package, name: str) -> str:
    """The line that requires a package."""
    wanted = package.requires(with_tests=True).get(name)
    return (
        f"{json.dumps(name)}: {json.dumps(wanted)} in {PACKAGE}"
        if wanted
        else f"{PACKAGE}, where something requires {name}"
    )


def _cause(text: Sequence[str]) -> str:
    """The most telling line of a package script's output."""
    raised = next((line for line in text if re.search(r"\b(?:\w*Error|error|not found)\b", line)), None)
    return (raised or (text[-1] if text else "it does not say why")).strip()


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
