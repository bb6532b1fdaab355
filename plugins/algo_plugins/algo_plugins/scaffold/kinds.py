"""The kinds of plugin projects, and the names that a project of each kind chooses."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass

from algo_core.errors import UsageError
from algo_core.plugins.types import GROUP
from algo_core.version import __version__

LONGEST = 40
"""Characters that a name may have, so that no generated line gets too long."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TAKEN = frozenset({"algo_core", "click", "click_option_group", "pluggy", "pytest", "tests"})
_OTHER_PYTHONS = frozenset(
    {
        *("aifc", "annotationlib", "asynchat", "asyncore", "audioop", "binhex", "cgi", "cgitb", "chunk", "compression"),
        *(
            "crypt",
            "distutils",
            "imghdr",
            "imp",
            "lib2to3",
            "mailcap",
            "msilib",
            "nis",
            "nntplib",
            "ossaudiodev",
            "pipes",
        ),
        *("smtpd", "sndhdr", "spwd", "sunau", "telnetlib", "test", "uu", "xdrlib"),
    }
)
"""Modules of the standard library that one of the supported versions of Python has, or does not list."""
_TESTS = ("algo-core[testing]", "mypy>=1.11", "ruff>=0.6")


@dataclass(frozen=True)
class Kind:
    """A kind of project: its templates are in `templates/NAME` and `templates/shared`.

    `names` says what its own name is called (command, scheme), in messages and in `--json`; it is empty for a kind
    without one. `provides` is what a project adds to `algo`, and `following` the command to try first.
    """

    name: str
    names: str
    provides: str
    description: str
    following: str
    dependencies: tuple[str, ...] = ()
    test_dependencies: tuple[str, ...] = ()


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "command",
            "command",
            "algo __NAME__",
            "__TITLE__, as a subcommand of algo",
            "algo __NAME__ World",
            ("click>=8.1.7,<9", "click-option-group>=0.5.7,<0.6"),
        ),
        Kind(
            "connector",
            "scheme",
            "__NAME__://",
            "__TITLE__, as a connector of algo",
            "algo plugins show __DIST__",
            test_dependencies=("algo-data__CORE__",),
        ),
        Kind(
            "bundle",
            "",
            "A default profile, its credentials and settings",
            "__TITLE__, a company's bundle for algo",
            "algo profile show",
        ),
        Kind(
            "executor",
            "executor",
            "algo local serve --engine __NAME__",
            "__TITLE__, as an executor of algo local serve",
            "algo plugins show __DIST__",
            ("algo-local__CORE__",),
            ("algo-run__CORE__",),
        ),
    )
}


@dataclass(frozen=True)
class Project:
    """The names of a plugin project: its distribution, its kind, and its command, scheme or executor in `algo`."""

    dist: str
    kind: Kind
    name: str

    @property
    def package(self) -> str:
        """The name of its import package."""
        return self.dist.replace("-", "_")

    @property
    def following(self) -> str:
        """The command to try first."""
        return self.fill(self.kind.following)

    @property
    def members(self) -> dict[str, str]:
        """Its names, for `--json`."""
        own = {self.kind.names: self.name} if self.kind.names else {}
        return {"kind": self.kind.name, "distribution": self.dist, "package": self.package, **own}

    def fill(self, text: str) -> str:
        """A text with the project's names in the place of placeholders."""
        major, minor = __version__.split(".")[:2]
        core = f">={major}.{minor},<{int(major) + 1}"
        kind = self.kind
        for placeholder, value in {
            "__DESCRIPTION__": kind.description,
            "__PROVIDES__": kind.provides,
            "__DEPENDENCIES__": _quoted("algo-core__CORE__", *kind.dependencies),
            "__TEST_DEPENDENCIES__": _quoted(*_TESTS, *kind.test_dependencies),
            "__DIST__": self.dist,
            "__PACKAGE__": self.package,
            "__NAME__": self.name,
            "__TITLE__": self.dist.replace("-", " ").capitalize(),
            "__CORE__": core,
        }.items():
            text = text.replace(placeholder, value)
        return text


def project_of(kind: str, dist: str, name: str = "") -> Project:
    """The project of this kind and name; what it adds is called like it, without an `algo-` at the beginning.

    Raises:
        UsageError: if the names are invalid, or not to be had; the hint suggests valid ones.
    """
    _check_name("a distribution", dist)
    project = Project(dist, KINDS[kind], name or dist.removeprefix("algo-"))
    _check_free(project)
    _CHECKS[kind](project)
    return project


def _check_free(project: Project) -> None:
    """Refuse a distribution that `algo` brings itself or that is no plugin, and a package that Python finds already."""
    from importlib.metadata import PackageNotFoundError, distribution

    from algo_core.plugins.recorded import CORE, standard

    dist, package = project.dist, project.package
    hint = f"Try: acme-{dist.removeprefix('algo-')}"
    if dist in {CORE, *standard()}:
        raise UsageError(f"The distribution {dist} is a part of algo itself", hint)
    library = _TAKEN | _OTHER_PYTHONS | sys.stdlib_module_names
    if package in library or keyword.iskeyword(package):
        raise UsageError(f"Python knows something else by the name {package}", hint)
    try:
        entries = distribution(dist).entry_points
    except PackageNotFoundError:
        pass
    else:
        if not any(entry.group == GROUP for entry in entries):
            raise UsageError(f"A distribution {dist} is installed already, and is no plugin", hint)
        return
    if place := _place_of(package):
        raise UsageError(f"Python finds another package {package} already, in {place}", hint)


def _place_of(package: str) -> str:
    """Where an installed package of that name is; what lies in the working directory does not count."""
    import os
    from importlib.util import find_spec

    try:
        spec = find_spec(package)
    except (ImportError, ValueError):  # a module that was left half imported
        return ""
    place = os.path.dirname(spec.origin) if spec and spec.origin else ""
    return "" if os.path.join(place, "").startswith(os.path.join(os.getcwd(), "")) else place


def _check_command(project: Project) -> None:
    from algo_core.cli import BUILT_IN

    _check_name("a command", project.name)
    if project.name in BUILT_IN:
        raise UsageError(
            f"The command {project.name!r} is built in",
            f"Choose another with: algo plugins new {project.dist} --command NAME",
        )


def _check_scheme(project: Project) -> None:
    from algo_core.plugins.types import RESERVED_SCHEMES

    choose = f"Choose another with: algo plugins new {project.dist} --connector SCHEME"
    _check_name("a scheme", project.name)
    if len(project.name) == 1:
        raise UsageError(f"Not a valid name for a scheme: {project.name!r} could be the drive in a path", choose)
    if project.name in RESERVED_SCHEMES:
        raise UsageError(f"The scheme {project.name}:// means the same to every command of algo", choose)


def _check_table(project: Project) -> None:
    from algo_core.settings.config import SETTINGS
    from algo_core.settings.declared import OWN_TABLES

    if project.name in OWN_TABLES or project.name in SETTINGS:
        raise UsageError(
            f"{project.name!r} is a part of config.toml that belongs to algo itself", f"Try: acme-{project.name}"
        )


_CHECKS: dict[str, Callable[[Project], None]] = {
    "command": _check_command,
    "connector": _check_scheme,
    "bundle": _check_table,
    "executor": lambda project: _check_name("an executor", project.name),
}


def _check_name(what: str, name: str) -> None:
    if _NAME.fullmatch(name) and len(name) <= LONGEST:
        return
    better = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:LONGEST].rstrip("-")
    raise UsageError(
        f"Not a valid name for {what}: {name!r}",
        f"Use lower-case letters, digits and hyphens, at most {LONGEST}" + (f": {better}" if better else ""),
    )


def _quoted(*requirements: str) -> str:
    return ", ".join(f'"{requirement}"' for requirement in requirements)
