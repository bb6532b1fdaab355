"""Examines a plugin by loading its module, in a separate process (`separate`)."""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from algo_core.errors import PluginError, cause
from algo_core.plugins import signatures
from algo_core.plugins.access import HookApp
from algo_core.plugins.hookspecs import HOOK_API, HOOKS
from algo_core.plugins.index import PluginRecord
from algo_core.plugins.types import RESERVED_SCHEMES, Connector
from algo_core.terminal.output import Output

LOAD_SECONDS = 5.0
"""Time limit in seconds for loading a plugin; one that takes longer counts as broken."""


class TookTooLong(BaseException):
    """Raised inside a plugin that exceeds the time limit; `except Exception` does not catch it."""


def examine(record: PluginRecord, output: Output | None = None) -> list[str]:
    """Load a plugin's module and fill its record; return the loaded files of its package.

    `output` is what its hooks write remarks to.
    """
    before = set(sys.modules)
    started = time.perf_counter()
    try:
        with _time_limit(LOAD_SECONDS):
            if ":" in record.module:
                raise PluginError(f"its entry point names an object, {record.module}: name the module")
            _learn(record, importlib.import_module(record.module), output or Output())
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        import traceback

        record.error = str(error) if isinstance(error, TookTooLong) else cause(error)
        record.traceback = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    record.seconds = time.perf_counter() - started
    top = record.module.partition(".")[0]
    names = {name for name in set(sys.modules) - before if name.partition(".")[0] == top}
    files = {getattr(sys.modules.get(name), "__file__", None) for name in {*names, record.module, top}}
    return sorted({file for file in files if isinstance(file, str)} | source_files(record.module))


def _learn(record: PluginRecord, module: Any, output: Output) -> None:
    if unmet := unmet_api(getattr(module, "ALGO_API", None)):
        raise PluginError(unmet)
    found = signatures.examine(module)
    record.hooks = list(found.hooks)
    record.addresses = _addresses(module)
    record.remarks += found.remarks
    if found.faults:
        raise PluginError("; ".join(found.faults))
    for name, hook in HOOKS.items():
        if hook.kept_as and name in found.hooks:
            app = HookApp(name, hook.app, lambda: SimpleNamespace(output=output))
            answer = signatures.caller(name, found.hooks[name])({"app": app})
            try:
                hook.check(answer)
            except TypeError as error:
                raise TypeError(f"{name}: {error}") from None
            setattr(record, hook.kept_as, [_plain(item) for item in answer if _may_have(record, item)])


def _addresses(module: Any) -> list[str]:
    """The addresses in a plugin's `ALGO_ADDRESSES`.

    Raises:
        TypeError: if it is no tuple of texts.
    """
    found = getattr(module, "ALGO_ADDRESSES", ())
    if not isinstance(found, (tuple, list)) or not all(isinstance(text, str) and text for text in found):
        raise TypeError(f"ALGO_ADDRESSES is {found!r:.80}: write a tuple of addresses like ('acme:',)")
    return list(found)


def reserved(scheme: str) -> str:
    """The remark on a plugin that claims a reserved scheme."""
    return f"claims {scheme}://, which is reserved for {RESERVED_SCHEMES[scheme]}, and does not get it"


def _may_have(record: PluginRecord, item: Any) -> bool:
    """Whether a claim of a plugin is granted; if not, a remark says so."""
    is_refused = isinstance(item, Connector) and RESERVED_SCHEMES.get(item.scheme, record.dist) != record.dist
    if is_refused:
        record.remarks.append(reserved(item.scheme))
    return not is_refused


def _plain(item: Any) -> tuple[Any, ...]:
    """The members of a command or connector as plain texts and booleans, which marshal can write."""
    plain = []
    for name, value in item._asdict().items():
        if not isinstance(value, str | bool):
            raise TypeError(f"{type(item).__name__} {item[0]!r:.40}: {name} is {value!r:.40}, not a text")
        plain.append(value if isinstance(value, bool) else "".join(value))
    return tuple(plain)


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Interrupt the block after a time, where possible (in the main thread of a POSIX process)."""
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


def source_files(module: str) -> set[str]:
    """The files of a module and its parent packages, found without loading them."""
    found = set()
    name, *below = module.split(".")
    try:
        spec = importlib.util.find_spec(name)
        while spec:
            if spec.origin:
                found.add(spec.origin)
            if not below or spec.submodule_search_locations is None:
                break
            name = f"{name}.{below.pop(0)}"
            spec = importlib.machinery.PathFinder.find_spec(name, spec.submodule_search_locations)
    except Exception:  # finders of others, and modules that are half there
        pass
    return found


def unmet_api(wanted: Any) -> str | None:
    """The mismatch between a plugin's `ALGO_API` and the hook API of this core, or None."""
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
