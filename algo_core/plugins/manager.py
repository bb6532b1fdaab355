"""The plugin manager: pluggy, with loading on demand and a guard around every load and every call."""

from __future__ import annotations

import functools
import importlib
import time
from _thread import RLock
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from algo_core.errors import OWN_EXIT_CODES, ConfigError, PluginError, cause, is_exit_code, is_reportable
from algo_core.plugins import index
from algo_core.plugins.index import PluginRecord

if TYPE_CHECKING:
    import pluggy

    from algo_core.errors import AlgoError
    from algo_core.plugins.policy import Policy

Report = Callable[[str], None]

Trace = Callable[[str, str, float, Any], None]
"""Called for each hook call with the plugin's label, the hook, its duration in seconds, and the result or exception."""


class Plugins:
    """The installed plugins: what they offer, and their hooks.

    Nothing that a plugin does while it is loaded or called ends the program, KeyboardInterrupt apart: it is reported
    once, with the distribution's name and version, through `report`, and so is what was installed and is `missing`.
    `app` gives the running `App`, for hooks that take it.
    """

    def __init__(
        self,
        cache: str,
        policy: Policy,
        report: Report,
        missing: Callable[[], Sequence[str]] = tuple,
        app: Callable[[], Any] = lambda: None,
    ) -> None:
        self._cache = cache
        self._policy = policy
        self._report = report
        self._missing = missing
        self._app = app
        self._apps: dict[str, Any] = {}
        self._managers: dict[str, pluggy.PluginManager] = {}
        self._loading = RLock()
        self.trace: Trace | None = None
        self._guards: dict[tuple[str, str], Mapping[str, Callable[..., Any]]] = {}
        self._reported: set[tuple[str, str]] = set()

    @functools.cached_property
    def records(self) -> list[PluginRecord]:
        """All installed plugins, including those that may not load; from the index, or examined again."""
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
        """The plugins that may load."""
        if self._policy.is_closed:
            return iter(())
        return (record for record in self.records if not record.refusal)

    def rebuild(self) -> list[PluginRecord]:
        """Rebuild the index."""
        if self._policy.is_closed:
            return self.records
        self.__dict__["records"] = self._refused_for_now(self._built())
        return self.records

    def _built(self) -> list[PluginRecord]:
        """Rebuild the index. Broken plugins are reported now, and later only where they are used."""
        from algo_core.plugins.separate import examine_all

        output = getattr(self._app(), "output", None)
        records = index.build(self._cache, self._policy, functools.partial(examine_all, output=output))
        for record in records:
            if record.error and not record.refusal:
                self._report(f"the plugin {record.label} is broken: {record.error}; {_how_to_leave_out(record)}")
        if gone := self._missing():
            from algo_core.plugins.recorded import told

            self._report(told(gone, records))
        return records

    def why_not(self, command: str) -> str | None:
        """Why an installed plugin's command is not available in this run, with advice; None without such a plugin."""
        return self._none_takes_part() or self.why_left_out(command)

    def why_left_out(self, command: str) -> str | None:
        """Why the plugin of a command, or of commands below it, is not loaded; None without such a plugin."""
        return self._why_not(lambda record: any(f"{row[0]} ".startswith(f"{command} ") for row in record.commands))

    def why_no_scheme(self, scheme: str) -> str | None:
        """Why a scheme of an installed plugin is not available in this run, with advice; None without such a plugin."""
        has_it = self._why_not(lambda record: any(row[0] == scheme for row in record.connectors))
        return self._none_takes_part() or has_it

    def why_no_service(self, name: str) -> str | None:
        """Why the service of an installed plugin is not available in this run, with advice; None without such one."""
        has_it = self._why_not(lambda record: any(row[0] == name for row in record.services))
        return self._none_takes_part() or has_it

    def why_no_installer(self) -> str | None:
        """The reason why no installer of plugins is available in this run, with advice; None if one is."""
        from algo_core.plugins.policy import INSTALLER

        record = next((record for record in self.records if record.dist == INSTALLER), None)
        if record is None:
            return f"{INSTALLER} installs, upgrades and makes plugins; get it with: `{self.to_install(INSTALLER)}`"
        if record.error and not record.refusal:
            return f"{record.label}, which installs plugins, is broken: {record.error}"
        return self._why_not(lambda other: other is record)

    def _why_not(self, has_it: Callable[[PluginRecord], bool]) -> str | None:
        for record in self.records:
            if record.refusal and has_it(record):
                remedy = self._policy.remedy(record.dist, record.version)
                return f"{record.label}, which has it, is {record.refusal}: {remedy}"
        return None

    def _none_takes_part(self) -> str | None:
        return f"No plugins are loaded: {self._policy.none_at_all}" if self._policy.none_at_all else None

    # Two methods, so that a hook without implementations needs neither pluggy nor the table of hooks.

    def call(self, hook: str, **arguments: Any) -> list[Any]:
        """Call a hook in every plugin that implements it; all results."""
        implementing = self._implementing(hook)
        results: list[Any] = (
            self._caller(hook, implementing)(**arguments, app=self._app_for(hook)) if implementing else []
        )
        return results

    def first(self, hook: str, *, address: str | None = None, **arguments: Any) -> Any:
        """Call a hook of which the first result counts; that result, or None.

        With `address` plugins are left out that say they carry others only (`ALGO_ADDRESSES`).
        """
        implementing = [r for r in self._implementing(hook) if address is None or r.carries(address)]
        return self._caller(hook, implementing)(**arguments, app=self._app_for(hook)) if implementing else None

    def teller(self, hook: str, argument: str) -> Callable[[Any], None]:
        """A function that calls a hook thousands of times: its plugins are found and loaded once, at the first call. It
        behaves like `call` without pluggy's overhead per call.
        """
        from algo_core.plugins.hookspecs import HOOKS

        check = HOOKS[hook].check
        listeners: list[tuple[PluginRecord, Callable[[Any], Any]]] | None = None

        def tell(value: Any) -> None:
            nonlocal listeners
            if self.trace:
                self.call(hook, **{argument: value})
                return
            if listeners is None:
                listeners = self._listeners(hook, argument)
            for record, listen in listeners:
                try:
                    answer = listen(value)
                    if answer is not None:
                        check(answer)
                except KeyboardInterrupt:
                    raise
                except BaseException as error:
                    self._failed(record, f"in {hook}", error)

        return tell

    def _listeners(self, hook: str, argument: str) -> list[tuple[PluginRecord, Callable[[Any], Any]]]:
        """The implementations of a hook, in the order in which they are asked."""
        from algo_core.plugins import signatures

        found = []
        for record in self._implementing(hook):
            if guard := self._guards_of(record).get(hook):
                function = signatures.examine(importlib.import_module(record.module)).hooks[hook]
                found.append((_rank(guard), record, signatures.listener(hook, function, argument, self._app_for(hook))))
        return [(record, listen) for _, record, listen in sorted(found, key=lambda each: each[0])]

    def only(self, hook: str, **arguments: Any) -> Any:
        """Call a hook that one plugin may answer: of those asked first, else of the rest, else of those asked last.

        Raises:
            ConfigError: if several answer differently, and none leaves the others the first word; it names them.
        """
        answers: dict[int, list[tuple[PluginRecord, Any]]] = {}
        for record in self._implementing(hook):
            if guard := self._guards_of(record).get(hook):
                answer = guard(*arguments.values(), self._app_for(hook))
                if answer is not None:
                    answers.setdefault(_rank(guard), []).append((record, answer))
        if not answers:
            return None
        rank, best = min(answers.items())
        if rank < LAST and any(answer != best[0][1] for _, answer in best):
            labels = " and ".join(record.label for record, _ in best)
            raise ConfigError(
                f"{labels} answer {hook} differently, and only one of them can count",
                f"Leave one out with: algo plugins disable {best[-1][0].dist}",
            )
        return best[0][1]

    def _app_for(self, hook: str) -> Any:
        """The argument `app` of a hook."""
        if hook not in self._apps:
            from algo_core.plugins.access import ALL, HookApp
            from algo_core.plugins.hookspecs import HOOKS

            access = HOOKS[hook].app
            self._apps[hook] = self._app() if access.members is ALL else HookApp(hook, access, self._app)
        return self._apps[hook]

    def _implementing(self, hook: str) -> list[PluginRecord]:
        return [record for record in self.allowed if hook in record.hooks and not record.error]

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
        from algo_core.plugins.recorded import interrupted

        remove = to_uninstall(self.allowed, record.dist)
        return PluginError(
            f"The plugin {record.label} is broken: {why}",
            interrupted(self.allowed)
            or f"Leave it out with: algo plugins disable {record.dist}; remove it with: {remove}",
            details=record.traceback,
        )

    def owner_of(self, error: BaseException) -> PluginRecord | None:
        """The plugin in whose code an exception arose.

        Of several the innermost that `algo` does not bring itself, such as a storage that `algo-data` reads, and the
        outermost of those that it brings.
        """
        found: list[PluginRecord] = []
        packages = {record.module.partition(".")[0]: record for record in self.records}
        traceback = error.__traceback__
        while traceback:
            package = str(traceback.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
            if record := packages.get(package):
                found.append(record)
            traceback = traceback.tb_next
        if len({record.dist for record in found}) > 1:
            from algo_core.plugins.recorded import standard

            brought = standard()
            found = [record for record in reversed(found) if record.dist not in brought] or found
        return found[0] if found else None

    def ended_by(self, error: BaseException) -> PluginRecord | None:
        """The plugin that `algo` called and that raised this, such as a storage or a transport; None for commands.

        What raised it is the innermost code of plugins and the core; a command is called by click.
        """
        packages = {record.module.partition(".")[0]: record for record in self.records}
        caller, before, found = "", "", None
        traceback = error.__traceback__
        while traceback:
            package = str(traceback.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
            record = packages.get(package)
            if package == CORE_PACKAGE:
                found = None
            elif record and (found is None or found.dist != record.dist):
                found, caller = record, before
            before = package
            traceback = traceback.tb_next
        return None if caller == "click" else found

    def checked(self, error: AlgoError) -> AlgoError:
        """The error to report, its message and hint as text; a PluginError if its exit code is none for a failure."""
        if is_reportable(error):
            return error
        kind = type(error)
        try:
            code: object = error.exit_code
        except Exception as raised:  # it may be a property
            code = raised
        if is_exit_code(code):
            error.message = str(error.message)
            error.hint = None if error.hint is None else str(error.hint)
            return error
        try:
            packages = {record.module.partition(".")[0]: record for record in self.records}
            owner = packages.get(kind.__module__.partition(".")[0]) or self.owner_of(error)
        except Exception:  # the plugins themselves may be what has failed
            owner = None
        first, last = OWN_EXIT_CODES[0], OWN_EXIT_CODES[-1]
        return PluginError(
            f"{f'The plugin {owner.label}' if owner else kind.__module__} failed with {kind.__name__}, whose exit code "
            f"{code!r} is none for a failure: {error.message}",
            f"Exit codes of a plugin's own are {first} to {last}" + (f"; {error.hint}" if error.hint else ""),
        )

    def load_target(self, record: PluginRecord, target: str) -> Any:
        """The object that `"package.module:attribute"` names in a plugin.

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

    def _caller(self, hook: str, implementing: Iterable[PluginRecord]) -> Callable[..., Any]:
        """The caller of a hook, with a pluggy manager of its own: the order must not depend on earlier calls."""
        import warnings
        from types import ModuleType, SimpleNamespace

        import pluggy

        from algo_core.plugins.hookspecs import HOOKS, PROJECT

        with self._loading:
            manager = self._managers.get(hook)
            if manager is None:
                manager = self._managers[hook] = pluggy.PluginManager(PROJECT)
                only = ModuleType(hook)
                setattr(only, hook, HOOKS[hook].specification)
                manager.add_hookspecs(only)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # deprecated arguments concern the author, not who runs the command
                for record in implementing:
                    name = f"{record.dist}:{record.entry}"
                    if (guard := self._guards_of(record).get(hook)) and not manager.has_plugin(name):
                        manager.register(SimpleNamespace(**{hook: guard}), name=name)
        caller: Callable[..., Any] = getattr(manager.hook, hook)
        return caller

    def _guards_of(self, record: PluginRecord) -> Mapping[str, Callable[..., Any]]:
        """The hooks of a plugin, which is loaded for it, in a form that never raises."""
        key = (record.dist, record.entry)
        with self._loading:  # observers are called in a thread of their own, and must not see half of it
            if key not in self._guards:
                self._guards[key] = {}
                try:
                    self._guards[key] = self._guarded(record, importlib.import_module(record.module))
                except KeyboardInterrupt:
                    raise
                except BaseException as error:
                    self._failed(record, "while it was loaded", error)
        return self._guards[key]

    def _guarded(self, record: PluginRecord, module: Any) -> Mapping[str, Callable[..., Any]]:
        from algo_core.plugins import signatures

        return {
            name: signatures.stand_in(name, function, self._guard(record, name, signatures.caller(name, function)))
            for name, function in signatures.examine(module).hooks.items()
        }

    def _guard(
        self, record: PluginRecord, name: str, function: Callable[[Mapping[str, Any]], Any]
    ) -> Callable[[Mapping[str, Any]], Any]:
        from algo_core.plugins.hookspecs import HOOKS

        check = HOOKS[name].check

        def call(arguments: Mapping[str, Any]) -> Any:
            started = time.perf_counter()
            outcome: Any = None
            try:
                outcome = function(arguments)
                check(outcome)
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


CORE_PACKAGE = __name__.partition(".")[0]

LAST = 2
"""The rank of implementations with `trylast`."""


def _rank(guard: Callable[..., Any]) -> int:
    """The call order of an implementation: 0 for `tryfirst`, `LAST` for `trylast`."""
    options = getattr(guard, "algo_impl", {})
    return 0 if options.get("tryfirst") else LAST if options.get("trylast") else 1


def _how_to_leave_out(record: PluginRecord) -> str:
    return f"leave it out with: algo plugins disable {record.dist}"
