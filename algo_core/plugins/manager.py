"""The plugin manager: pluggy, plus loading on demand, and a guard around every load and every call."""

from __future__ import annotations

import functools
import importlib
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from algo_core.errors import PluginError, cause
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
    once, with the distribution's name and version, through `report`, and so is what was installed and is `missing`.
    """

    def __init__(
        self, cache: str, policy: Policy, report: Report, missing: Callable[[], Sequence[str]] = tuple
    ) -> None:
        self._cache = cache
        self._policy = policy
        self._report = report
        self._missing = missing
        self._manager: pluggy.PluginManager | None = None
        self.trace: Trace | None = None
        self._registered: set[tuple[str, str]] = set()
        self._reported: set[tuple[str, str]] = set()

    @functools.cached_property
    def records(self) -> list[PluginRecord]:
        """All installed plugins, those that may not load included; read from the index, or looked at anew."""
        if self._policy.is_closed:
            return self._refused_for_now(index.discover())
        records = index.read(self._cache, self._policy)
        if records is None:
            records = self._built()
        return self._refused_for_now(records)

    def _refused_for_now(self, records: list[PluginRecord]) -> list[PluginRecord]:
        for record in records:
            record.refusal = record.refusal or self._policy.passing_refusal(record.dist)
        return records

    @property
    def allowed(self) -> Iterator[PluginRecord]:
        """The plugins that may take part."""
        if self._policy.is_closed:
            return iter(())
        return (record for record in self.records if not record.refusal)

    def rebuild(self) -> list[PluginRecord]:
        """Look at all plugins anew, whatever the index says."""
        if self._policy.is_closed:
            return self.records
        self.__dict__["records"] = self._refused_for_now(self._built())
        return self.records

    def _built(self) -> list[PluginRecord]:
        """The index made anew. What is broken is told now, and later only where it matters."""
        from algo_core.plugins.separate import examine_all

        records = index.build(self._cache, self._policy, examine_all)
        for record in records:
            if record.error and not record.refusal:
                self._report(f"the plugin {record.label} is broken: {record.error}; {_how_to_leave_out(record)}")
        if gone := self._missing():
            from algo_core.plugins.recorded import told

            self._report(told(gone, records))
        return records

    def why_not(self, command: str) -> str | None:
        """Why the command of an installed plugin cannot be had in this run, and what to do; None if there is none."""
        return self._none_takes_part() or self.why_left_out(command)

    def why_left_out(self, command: str) -> str | None:
        """Why the one plugin that has a command, or commands below it, takes no part; None if there is none."""
        return self._why_not(lambda record: any(f"{row[0]} ".startswith(f"{command} ") for row in record.commands))

    def why_no_scheme(self, scheme: str) -> str | None:
        """Why a scheme of an installed plugin cannot be had in this run, and what to do; None if there is none."""
        has_it = self._why_not(lambda record: any(row[0] == scheme for row in record.connectors))
        return self._none_takes_part() or has_it

    def _why_not(self, has_it: Callable[[PluginRecord], bool]) -> str | None:
        for record in self.records:
            if record.refusal and has_it(record):
                remedy = self._policy.remedy(record.dist, record.version)
                return f"{record.label}, which has it, is {record.refusal}: {remedy}"
        return None

    def _none_takes_part(self) -> str | None:
        return f"No plugins are loaded: {self._policy.none_at_all}" if self._policy.none_at_all else None

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
        self._policy.check_required(self.records, self.to_install)

    def to_install(self, *requirements: str) -> str:
        """The command line that installs distributions beside `algo`, for a hint."""
        from algo_core.plugins.advice import to_install

        return to_install(self.allowed, *requirements)

    def suggested(self, role: str, *words: str) -> str | None:
        """The command line of an installed command that has a role (`Command.role`), for a hint; None if none has."""
        from algo_core.plugins.advice import suggested

        return suggested(self.allowed, role, *words)

    def broken(self, record: PluginRecord, why: str) -> PluginError:
        """The error of a command whose plugin does not work."""
        from algo_core.plugins.advice import to_uninstall

        remove = to_uninstall(self.allowed, record.dist)
        return PluginError(
            f"The plugin {record.label} is broken: {why}",
            f"Leave it out with: algo plugins disable {record.dist}; remove it with: {remove}",
            details=record.traceback,
        )

    def owner_of(self, error: BaseException) -> PluginRecord | None:
        """The plugin in whose code an exception arose; the outermost one of several."""
        packages = {record.module.partition(".")[0]: record for record in self.records}
        traceback = error.__traceback__
        while traceback:
            package = str(traceback.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
            if found := packages.get(package):
                return found
            traceback = traceback.tb_next
        return None

    def load_target(self, record: PluginRecord, target: str) -> Any:
        """What `"package.module:attribute"` names in a plugin.

        Raises:
            PluginError: if it cannot be loaded; the message says which distribution, and the cause in one line.
        """
        if record.error:
            raise self.broken(record, record.error)
        module, _, attribute = target.partition(":")
        try:
            found: Any = importlib.import_module(module)
            for part in attribute.split("."):
                found = getattr(found, part)
            return found
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self.broken(record, cause(error)) from error

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
        from algo_core.plugins import signatures

        guards = type(f"Guarded_{record.entry}", (), {})()
        for name, function in signatures.examine(module).hooks.items():
            call = self._guard(record, name, signatures.caller(name, function))
            setattr(guards, name, signatures.stand_in(name, function, call))
        return guards

    def _guard(
        self, record: PluginRecord, name: str, function: Callable[[Mapping[str, Any]], Any]
    ) -> Callable[[Mapping[str, Any]], Any]:
        def call(arguments: Mapping[str, Any]) -> Any:
            started = time.perf_counter()
            outcome: Any = None
            try:
                outcome = function(arguments)
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
            self._report(f"the plugin {record.label} failed {where}: {cause(error)}; {_how_to_leave_out(record)}")

    def _pluggy(self) -> pluggy.PluginManager:
        if self._manager is None:
            import pluggy

            from algo_core.plugins import hookspecs

            self._manager = pluggy.PluginManager(hookspecs.PROJECT)
            self._manager.add_hookspecs(hookspecs)
        return self._manager


FIRST_RESULT = frozenset({"algo_default_profile", "algo_credentials", "algo_transport"})
"""Hooks of which the first answer counts; known here so that a hook that nobody implements needs no pluggy."""

SILENT = frozenset({"algo_configure_session"})
"""Hooks that answer nothing: whatever comes is a coroutine that never ran, or a mistake of another kind."""


def _how_to_leave_out(record: PluginRecord) -> str:
    return f"leave it out with: algo plugins disable {record.dist}"


def _check_result(hook: str, outcome: Any) -> None:
    """Refuse what the caller of a hook could not use.

    Raises:
        TypeError: if it is of another kind than the hook's specification says.
    """
    from algo_core.plugins.examination import as_list
    from algo_core.plugins.types import DoctorCheck
    from algo_core.settings.credentials import Credential
    from algo_core.settings.profile import Profile

    kinds = {"algo_default_profile": Profile, "algo_credentials": Credential, "algo_error_hints": str}
    wanted = kinds.get(hook, type(None) if hook in SILENT else None)
    if wanted and not (outcome is None or isinstance(outcome, wanted)):
        if isinstance(outcome, Coroutine):
            outcome.close()  # or Python would complain that nobody has awaited it
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
        for check in as_list(outcome, hook):
            if not isinstance(check, DoctorCheck):
                raise TypeError(f"it returned {check!r:.80}, which is no DoctorCheck")
