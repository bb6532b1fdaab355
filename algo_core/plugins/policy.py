"""Which plugins may load: the administrator's file, then the environment, then the flags, then the user's file.

The administrator's file may hold, under `[plugins]`, lists of requirements (a distribution's name, which may contain
`*`, and version bounds such as `>=2,<3`):

    allow = ["algo-*", "acme-bundle>=2"]    # only these may load
    deny = ["evil-plugin", "acme-old<2"]    # these may not
    require = ["acme-bundle"]               # without these no plugin's command runs; nobody can leave them out
    help = "pip install acme-bundle"        # how to get what is required
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from algo_core.errors import ConfigError

if TYPE_CHECKING:
    from algo_core.settings.config import Config

LISTS = ("allow", "deny", "require")


class Installed(Protocol):
    """A distribution with a plugin, as the index describes it; `error` is why it cannot be used, if so."""

    dist: str
    version: str
    error: str | None


def normalized(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    out = name.lower().replace("_", "-").replace(".", "-")
    while "--" in out:
        out = out.replace("--", "-")
    return out


class Policy:
    """The decisions about plugins. `lasting` ones change with a file, `passing` ones hold for this run only."""

    def __init__(
        self,
        *,
        lists: Mapping[str, Sequence[str]] | None = None,
        disabled: Iterable[str] = (),
        passing: Mapping[str, str] | None = None,
        none_at_all: str | None = None,
        help: str | None = None,
        site_file: str = "",
        user_file: str = "",
    ) -> None:
        self._lists = lists or {}
        self._disabled = frozenset(normalized(name) for name in disabled)
        self._passing = dict(passing or {})
        self.none_at_all = none_at_all
        self._help = help
        self._site_file = site_file
        self._user_file = user_file

    @classmethod
    def read(cls, config: Config, *, no_plugins: bool = False, no_plugin: Iterable[str] = ()) -> Policy:
        """Put the policy together.

        Raises:
            ConfigError: if one of the administrator's lists is not a list of texts.
        """
        passing: dict[str, str] = {}
        none_at_all = None
        disabled = config.get("plugins.disabled")
        lasting: list[str] = []
        if disabled.origin.startswith("environment"):
            passing = {normalized(str(name)): f"disabled by {disabled.origin}" for name in disabled.value}
            none_at_all = passing.get("*")
            stored = config.user.get("plugins", {})
            lasting = list(stored.get("disabled", [])) if isinstance(stored, dict) else []
        else:
            lasting = [str(name) for name in disabled.value]
        passing.update({normalized(name): "left out by --no-plugin" for name in no_plugin})
        if no_plugins:
            none_at_all = "left out by --no-plugins"
        table = config.site.get("plugins", {})
        help_text = table.get("help") if isinstance(table, dict) else None
        return cls(
            lists={name: _texts(table, name, config.site_file) for name in LISTS if name in table},
            disabled=lasting,
            passing=passing,
            none_at_all=none_at_all,
            help=str(help_text) if help_text else None,
            site_file=config.site_file,
            user_file=config.user_file,
        )

    @property
    def fingerprint(self) -> tuple[Any, ...]:
        """What an index depends on: it is built anew when this changes."""
        return (tuple((name, tuple(entries)) for name, entries in self._lists.items()), tuple(sorted(self._disabled)))

    def lasting_refusal(self, dist: str, version: str) -> str | None:
        """Why the files do not let this distribution load, or None."""
        if why := self.site_refusal(dist, version):
            return why
        if normalized(dist) in self._disabled and not self.is_required(dist):
            return f"disabled by {self._user_file}"
        return None

    def site_refusal(self, dist: str, version: str, *, is_plugin: bool = True) -> str | None:
        """Why the administrator does not want this distribution, or None; what is no plugin need not be allowed."""
        if any(_matches(entry, dist, version) for entry in self._lists.get("deny", ())):
            return f"denied by {self._site_file}"
        allowed = self._lists.get("allow") if is_plugin else None
        if allowed is not None and not any(_matches(entry, dist, version) for entry in allowed):
            return f"not allowed by {self._site_file}"
        return None

    def passing_refusal(self, dist: str) -> str | None:
        """Why this distribution may not load in this run, or None."""
        if self.none_at_all:
            return self.none_at_all
        return None if self.is_required(dist) else self._passing.get(normalized(dist))

    @property
    def required(self) -> tuple[str, ...]:
        """What the administrator requires, as requirements."""
        return tuple(self._lists.get("require", ()))

    def is_required(self, dist: str) -> bool:
        """Whether the administrator requires this distribution."""
        return any(_name_of(entry) == normalized(dist) for entry in self._lists.get("require", ()))

    def check_required(self, records: Iterable[Installed]) -> None:
        """Refuse to go on without what the administrator requires.

        Raises:
            ConfigError: if something is missing, too old or broken; the hint says how to get it.
        """
        present = [record for record in records if not record.error]
        for entry in self._lists.get("require", ()):
            if not any(_matches(entry, record.dist, record.version) for record in present):
                raise ConfigError(
                    f"The plugin {entry} is required by {self._site_file}, and is not installed",
                    self._help or f"Install it with: algo plugins install '{entry}'",
                )


def _texts(table: Mapping[str, Any], name: str, file: str) -> list[str]:
    entries = table[name]
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise ConfigError(f"plugins.{name} in {file} is not a list of texts", f'Write {name} = ["acme-bundle>=2"]')
    return entries


def _split(entry: str) -> tuple[str, str]:
    at = next((i for i, c in enumerate(entry) if c in "<>=!~ "), len(entry))
    return normalized(entry[:at].strip()), entry[at:].strip()


def _name_of(entry: str) -> str:
    return _split(entry)[0]


def _matches(entry: str, dist: str, version: str) -> bool:
    from fnmatch import fnmatchcase

    name, bounds = _split(entry)
    if not fnmatchcase(normalized(dist), name):
        return False
    if not bounds:
        return True
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import InvalidVersion

    try:
        return SpecifierSet(bounds).contains(version, prereleases=True)
    except (InvalidSpecifier, InvalidVersion):
        return False
