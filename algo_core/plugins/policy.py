"""Which plugins may load: the administrator's files, then the environment, then the flags, then the user's file.

The administrator's files may hold, under `[plugins]`, lists of distributions (a name, which may contain `*`, and
version bounds such as `>=2,<3`):

    allow = ["algo-*", "acme-bundle>=2"]    # only these may load
    deny = ["evil-plugin", "acme-old<2"]    # these may not
    require = ["acme-bundle"]               # without these no plugin's command runs; users cannot disable them
    help = "pip install acme-bundle"        # how to get what is required

Where several of these files say something, the stricter counts: what one of them denies or does not allow does not
load, and what one of them requires is required.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from algo_core.errors import ConfigError

if TYPE_CHECKING:
    from algo_core.settings.config import Config, Value
    from algo_core.settings.schema import Fault


class Installed(Protocol):
    """A distribution with a plugin, from the index; `error` says why it cannot be used, if so."""

    dist: str
    version: str
    error: str | None


def normalized(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    out = name.lower().replace("_", "-").replace(".", "-")
    while "--" in out:
        out = out.replace("--", "-")
    return out


INSTALLER = "algo-plugins"
"""The distribution that installs and removes plugins: a part of `algo` itself.

It obeys the administrator's lists when it installs, and is what brings the missing and takes away the broken, so it
takes part unless it is named itself: whatever is allowed, required or left out all at once.
"""

ASK = "Ask your administrator"
_ENABLE = "algo plugins enable {dist}"
_ENABLE_ALL = "algo config unset plugins.disabled"


class Lists(NamedTuple):
    """The plugin rules of one of the administrator's files."""

    file: str
    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()
    require: tuple[str, ...] = ()
    help: str | None = None


class Disabled(NamedTuple):
    """Disabled distributions, and the origin of that decision."""

    names: tuple[str, ...]
    why: str
    remedy: str

    def has(self, dist: str) -> bool:
        """Whether a distribution is among them."""
        if normalized(dist) in self.names:
            return True
        if normalized(dist) == INSTALLER:
            return False
        return any("*" in name for name in self.names) and any(_matches(name, dist, None) for name in self.names)


class Policy:
    """The decisions about plugins.

    What the files say lasts, and the index is built with it; `passing` holds for this run only, and so do
    `none_at_all`, which says why no plugin takes part, and `is_closed`: not even the installer does.
    """

    def __init__(
        self,
        *,
        lists: Sequence[Lists] = (),
        lasting: Disabled | None = None,
        passing: Sequence[Disabled] = (),
        none_at_all: str | None = None,
        is_closed: bool = False,
    ) -> None:
        self._lists = tuple(lists)
        self._lasting = lasting
        self._passing = tuple(passing)
        self.none_at_all = none_at_all
        self.is_closed = is_closed

    @classmethod
    def read(cls, config: Config, *, no_plugins: bool = False, no_plugin: Iterable[str] = ()) -> Policy:
        """Put the policy together.

        Raises:
            ConfigError: if the administrator's files, or what the user's file says of plugins, hold what they may not.
        """
        if not config.is_empty:
            from algo_core.settings.repair import check

            check(config, lambda fault: _decides(fault, config.user_file), without_plugins=True)
        passing: list[Disabled] = []
        disabled = config.get("plugins.disabled")
        lasting = _set(disabled)
        none_at_all = None
        if disabled.is_ambient:
            passing.append(lasting)
            none_at_all = lasting.why if "*" in lasting.names else None
            stored = config.get("plugins.disabled", ambient=False)
            lasting = _set(stored)
        passing.append(_disabled(no_plugin, "left out by --no-plugin", "Leave out --no-plugin"))
        return cls(
            lists=[_lists(layer.table.get("plugins", {}), layer.file) for layer in config.sites if layer.table],
            lasting=lasting,
            passing=passing,
            none_at_all="left out by --no-plugins" if no_plugins else none_at_all,
        )

    @property
    def fingerprint(self) -> tuple[Any, ...]:
        """The part of the policy that the index depends on."""
        return (*(tuple(lists) for lists in self._lists), tuple(self._lasting) if self._lasting else ())

    def lasting_refusal(self, dist: str, version: str) -> str | None:
        """Why the files do not allow this distribution to load, or None."""
        if why := self.site_refusal(dist, version):
            return why
        if self._lasting and self._lasting.has(dist) and not self.is_required(dist):
            return self._lasting.why
        return None

    def site_refusal(self, dist: str, version: str | None, *, is_plugin: bool = True) -> str | None:
        """Why the administrator does not want this distribution, or None; what is no plugin need not be allowed.

        A version of None is one that is not known yet.
        """
        for lists in self._lists:
            if any(_matches(entry, dist, version, incomparable=True) for entry in lists.deny):
                return f"denied by {lists.file}"
            is_free = not is_plugin or lists.allow is None or normalized(dist) == INSTALLER
            if not is_free and not any(_matches(entry, dist, version) for entry in lists.allow or ()):
                return f"not allowed by {lists.file}"
        return None

    def remedy(self, dist: str, version: str) -> str:
        """The command that allows a refused distribution to load."""
        if self.site_refusal(dist, version):
            return ASK
        refusing = next((d for d in (*self._passing, self._lasting) if d and d.has(dist)), None)
        if refusing is None:
            return "Leave out --no-plugins"
        by_name = normalized(dist) in refusing.names
        return (refusing.remedy if by_name else refusing.remedy.replace(_ENABLE, _ENABLE_ALL)).format(dist=dist)

    def passing_refusal(self, dist: str) -> str | None:
        """Why this distribution may not load in this run, or None."""
        if self.none_at_all and (self.is_closed or normalized(dist) != INSTALLER):
            return self.none_at_all
        found = next((disabled for disabled in self._passing if disabled.has(dist)), None)
        return found.why if found and not self.is_required(dist) else None

    @property
    def required(self) -> tuple[str, ...]:
        """What the administrator requires, as requirements."""
        return tuple(entry for lists in self._lists for entry in lists.require)

    def requiring_file(self, dist: str) -> str | None:
        """The administrator's file that requires this distribution, if one does."""
        for lists in self._lists:
            if any(_matches(_name_of(entry), dist, None) for entry in lists.require):
                return lists.file
        return None

    def is_required(self, dist: str) -> bool:
        """Whether the administrator requires this distribution."""
        return self.requiring_file(dist) is not None

    def check_required(self, records: Iterable[Installed], installing: Callable[[str], str]) -> None:
        """Refuse to go on without what the administrator requires; `installing` gives the command that installs it.

        Raises:
            ConfigError: if something is missing, too old or broken; the hint says how to get it.
        """
        present = [record for record in records if not record.error]
        for lists in self._lists:
            for entry in lists.require:
                if not any(_matches(entry, record.dist, record.version) for record in present):
                    raise ConfigError(
                        f"The plugin {entry} is required by {lists.file}, and is not installed",
                        lists.help or f"Install it with: `{installing(entry)}`",
                    )


def _decides(fault: Fault, user_file: str) -> bool:
    """Whether a fault leaves open which plugins may load."""
    return fault.file != user_file or fault.path[0] == "plugins" or fault.meant == "plugins"


def _disabled(names: Iterable[str], why: str, remedy: str) -> Disabled:
    return Disabled(tuple(sorted(normalized(str(name)) for name in names)), why, remedy)


def _set(disabled: Value) -> Disabled:
    """The value of the setting `plugins.disabled`."""
    if disabled.is_ambient:
        remedy = f"`unset {disabled.variable}`"
    elif disabled.enforced:
        remedy = ASK
    else:
        remedy = f"`{_ENABLE}`"
    return _disabled(disabled.value, f"disabled by {disabled.origin.removeprefix('enforced by ')}", remedy)


def _lists(table: Any, file: str) -> Lists:
    found = {name: tuple(table[name]) for name in ("allow", "deny", "require") if name in table}
    return Lists(file, help=table.get("help"), **found)


def _name_of(entry: str) -> str:
    from algo_core.settings.specifiers import split

    return split(entry)[0]


def _matches(entry: str, dist: str, version: str | None, *, incomparable: bool = False) -> bool:
    from algo_core.settings.specifiers import matches

    return matches(entry, dist, version, incomparable=incomparable)
