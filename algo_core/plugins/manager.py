"""The plugin manager: pluggy, plus loading on demand, and a guard around every load and every call."""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from algo_core.errors import PluginError
from algo_core.plugins import index
from algo_core.plugins.index import PluginRecord

if TYPE_CHECKING:
    import pluggy

    from algo_core.plugins.policy import Policy

Report = Callable[[str], None]

Trace = Callable[[str, str, float, Any], None]
"""Told of each hook call: the plugin's label, the hook, the seconds that it took, and the result or the exception."""


class Plugins:
    """The installed plugins: what they offer, and their hooks.

    Nothing that a plugin does while it is loaded or called ends the program, KeyboardInterrupt apart: it is reported
    once, with the distribution's name and version, through `report`.
    """

    def __init__(self, cache: str, policy: Policy, report: Report) -> None:
        self._cache = cache
        self._policy = policy
        self._report = report
        self._manager: pluggy.PluginManager | None = None
        self.trace: Trace | None = None
        self._registered: set[tuple[str, str]] = set()
        self._reported: set[tuple[str, str]] = set()

    @functools.cached_property
    def records(self) -> list[PluginRecord]:
        """All installed plugins, those that may not load included; read from the index, or looked at anew."""
        if self._policy.none_at_all:
            return self._refused_for_now(index.discover())
        records = index.read(self._cache, self._policy)
        if records is None:
            records = index.build(self._cache, self._policy, self.examine)
        return self._refused_for_now(records)

    def _refused_for_now(self, records: list[PluginRecord]) -> list[PluginRecord]:
        for record in records:
            record.refusal = record.refusal or self._policy.passing_refusal(record.dist)
        return records

    @property
    def allowed(self) -> Iterator[PluginRecord]:
        """The plugins that may take part."""
        if self._policy.none_at_all:
            return iter(())
        return (record for record in self.records if not record.refusal)

    def rebuild(self) -> list[PluginRecord]:
        """Look at all plugins anew, whatever the index says."""
        if self._policy.none_at_all:
            return self.records
        self.__dict__["records"] = self._refused_for_now(index.build(self._cache, self._policy, self.examine))
        return self.records

    def call(self, hook: str, **arguments: Any) -> Any:
        """Call a hook in every plugin that implements it; a list of results, or for first-result hooks one or None."""
        implementing = [r for r in self.allowed if hook in r.hooks and not r.error]
        if not implementing:
            return None if hook in FIRST_RESULT else []
        manager = self._pluggy()
        for record in implementing:
            self._register(manager, record)
        return getattr(manager.hook, hook)(**arguments)

    def implement(self, hook: str) -> bool:
        """Whether any plugin implements a hook."""
        return any(hook in record.hooks and not record.error for record in self.allowed)

    def check_required(self) -> None:
        """Raise ConfigError if a plugin that the administrator requires is missing."""
        self._policy.check_required(self.records)

    def load_target(self, record: PluginRecord, target: str) -> Any:
        """What `"package.module:attribute"` names in a plugin.

        Raises:
            PluginError: if it cannot be loaded; the message says which distribution, and the cause in one line.
        """
        module, _, attribute = target.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in attribute.split("."):
                found = getattr(found, part)
            return found
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise broken(record, cause(error)) from error

    def examine(self, record: PluginRecord) -> list[str]:
        """Load a plugin's module and fill its record; the files that this loaded from the plugin's own package."""
        before = set(sys.modules)
        started = time.perf_counter()
        try:
            with _time_limit(LOAD_SECONDS):
                module = importlib.import_module(record.module)
                self._learn(record, module)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            import traceback

            record.error = cause(error)
            record.traceback = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        record.seconds = time.perf_counter() - started
        top = record.module.partition(".")[0]
        names = {name for name in set(sys.modules) - before if name.partition(".")[0] == top}
        files = {getattr(sys.modules.get(name), "__file__", None) for name in {*names, record.module, top}}
        return sorted({file for file in files if file} | _origin_of(record.module))

    def _learn(self, record: PluginRecord, module: Any) -> None:
        from algo_core.plugins.types import Command, Connector

        if unmet := _unmet_api(getattr(module, "ALGO_API", None)):
            raise PluginError(unmet)
        specs = hook_names()
        for name, function in implementations(module).items():
            if name in specs:
                record.hooks.append(name)
                record.remarks += deprecated_arguments(name, function)
            else:
                record.remarks.append(f"implements {name}, which is no hook of this version")
        manager = self._pluggy()
        self._register(manager, record, module)
        for hook, kind, kept in (
            ("algo_commands", Command, record.commands),
            ("algo_connectors", Connector, record.connectors),
        ):
            if hook not in record.hooks:
                continue
            for item in _as_list(getattr(module, hook)(), hook):
                if not isinstance(item, kind):
                    raise TypeError(f"{hook} returned {item!r:.80}, which is no {kind.__name__}")
                kept.append(tuple[Any, ...](item))

    def _register(self, manager: pluggy.PluginManager, record: PluginRecord, module: Any = None) -> None:
        key = (record.dist, record.entry)
        if key in self._registered:
            return
        self._registered.add(key)
        import warnings

        try:
            module = module or importlib.import_module(record.module)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # deprecated arguments concern the author, not who runs the command
                manager.register(self._guarded(record, module), name=f"{record.dist}:{record.entry}")
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._failed(record, "while it was loaded", error)

    def _guarded(self, record: PluginRecord, module: Any) -> Any:
        """A stand-in for the plugin's module whose hooks never raise."""
        guards = type(f"Guarded_{record.entry}", (), {})()
        for name, function in implementations(module).items():
            if name in hook_names():
                setattr(guards, name, self._guard(record, name, function))
        return guards

    def _guard(self, record: PluginRecord, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            started = time.perf_counter()
            outcome: Any = None
            try:
                outcome = function(*arguments)
                _check_result(name, outcome)
                return outcome
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                outcome = error
                self._failed(record, f"in {name}", error)
                return None
            finally:
                if self.trace:
                    self.trace(record.label, name, time.perf_counter() - started, outcome)

        return call

    def _failed(self, record: PluginRecord, where: str, error: BaseException) -> None:
        if (record.dist, where) not in self._reported:
            self._reported.add((record.dist, where))
            self._report(
                f"the plugin {record.label} failed {where}: {cause(error)}; "
                f"leave it out with: algo plugins disable {record.dist}"
            )

    def _pluggy(self) -> pluggy.PluginManager:
        if self._manager is None:
            import pluggy

            from algo_core.plugins import hookspecs

            self._manager = pluggy.PluginManager(hookspecs.PROJECT)
            self._manager.add_hookspecs(hookspecs)
        return self._manager


LOAD_SECONDS = 5.0
"""How long loading a plugin may take; one that takes longer is broken, so that it cannot lock anybody out."""


class TookTooLong(BaseException):
    """Raised inside a plugin that does not get ready; no plugin's `except Exception` catches it."""


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """End what runs in the block after this time, where the system can (the main thread of a POSIX process)."""
    import signal
    import threading

    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise TookTooLong(f"it was not ready after {seconds:g} s")

    older = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, older)


FIRST_RESULT = frozenset({"algo_default_profile", "algo_credentials", "algo_transport"})
"""Hooks of which the first answer counts; known here so that a hook that nobody implements needs no pluggy."""


@functools.cache
def hook_names() -> frozenset[str]:
    """The names of all hooks."""
    from algo_core.plugins import hookspecs

    return frozenset(n for n, f in vars(hookspecs).items() if hasattr(f, f"{hookspecs.PROJECT}_spec"))


def implementations(module: Any) -> dict[str, Callable[..., Any]]:
    """The functions of a module that are marked with `hookimpl`, by the name of the hook that they implement."""
    found = {}
    for name, value in vars(module).items():
        options = getattr(value, "algo_impl", None)
        if isinstance(options, dict) and callable(value):
            found[options.get("specname") or name] = value
    return found


def deprecated_arguments(hook: str, function: Callable[..., Any]) -> list[str]:
    """A remark for each argument of an implementation that its hook's specification wants to be rid of."""
    import inspect

    from algo_core.plugins import hookspecs

    options = getattr(getattr(hookspecs, hook), f"{hookspecs.PROJECT}_spec")
    advice = options["warn_on_impl_args"] or {}
    taken = [name for name in inspect.signature(function).parameters if name in advice]
    return [f"{hook} takes the deprecated argument {name}: {advice[name]}" for name in taken]


def cause(error: BaseException) -> str:
    """An exception in one line."""
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    if isinstance(error, PluginError):
        return error.message
    if isinstance(error, TookTooLong):
        return str(error)
    text = " ".join(str(error).split())
    return type(error).__name__ + (f": {text[:300]}" if text else "")


def broken(record: PluginRecord, why: str) -> PluginError:
    """The error of a command whose plugin does not work."""
    return PluginError(
        f"The plugin {record.label} is broken: {why}",
        f"Leave it out with: algo plugins disable {record.dist}; remove it with: algo plugins uninstall {record.dist}",
        details=record.traceback,
    )


def _check_result(hook: str, outcome: Any) -> None:
    """Refuse what the caller of a hook could not use.

    Raises:
        TypeError: if it is of another kind than the hook's specification says.
    """
    from algo_core.plugins.types import DoctorCheck
    from algo_core.settings.credentials import Credential
    from algo_core.settings.profile import Profile

    wanted = {"algo_default_profile": Profile, "algo_credentials": Credential, "algo_error_hints": str}.get(hook)
    if wanted and not (outcome is None or isinstance(outcome, wanted)):
        raise TypeError(f"it returned {outcome!r:.80}, which is no {wanted.__name__}")
    if hook == "algo_transport" and outcome is not None:
        missing = [method for method in ("send", "close") if not callable(getattr(outcome, method, None))]
        if missing:
            raise TypeError(f"it returned {outcome!r:.80}, which is no transport: it has no {missing[0]}")
    if hook == "algo_request_headers" and outcome is not None:
        from algo_core.http.headers import header_lines

        texts = [*outcome, *outcome.values()] if isinstance(outcome, Mapping) else [None]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError(f"it returned {outcome!r:.80}, which is no mapping from names to texts")
        header_lines(outcome)
    if hook == "algo_doctor_checks":
        for check in _as_list(outcome, hook):
            if not isinstance(check, DoctorCheck):
                raise TypeError(f"it returned {check!r:.80}, which is no DoctorCheck")


def _as_list(result: Any, hook: str) -> list[Any]:
    if not isinstance(result, (list, tuple)) or hasattr(result, "_fields"):  # one of our values is no list of them
        raise TypeError(f"{hook} returned {result!r:.80}, not a list")
    return list(result)


def _origin_of(module: str) -> set[str]:
    """The file of a module that could not be loaded."""
    try:
        spec = importlib.util.find_spec(module)
    except BaseException:  # the parent package may be what is broken
        return set()
    return {spec.origin} if spec and spec.origin else set()


def _unmet_api(wanted: Any) -> str | None:
    """Why a plugin's `ALGO_API` does not fit the hook API of this core, or None."""
    from algo_core.plugins.types import HOOK_API

    if wanted is None:
        return None
    have = ".".join(map(str, HOOK_API))
    for clause in str(wanted).split(","):
        operator = clause.strip().rstrip("0123456789. ")
        try:
            number = tuple(int(part) for part in clause.strip()[len(operator) :].strip().split("."))
            met = _COMPARE[operator](HOOK_API[: len(number)], number)
        except (KeyError, ValueError):
            return f"its ALGO_API {wanted!r} cannot be read: write it like '>=1,<2'"
        if not met:
            return f"it needs hook API {wanted}, and this is {have}"
    return None


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
}
