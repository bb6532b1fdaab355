"""The hook implementations of a plugin module: found, examined, and made callable whatever their signature.

pluggy passes arguments by position and leaves out those with defaults, so that `def algo_credentials(profile=None)`
never gets its profile; keyword-only ones, generators and coroutines fail or do nothing at all. Here an implementation
gets all the arguments that it names, and what cannot work is said when the index is built, of the plugin that has it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from algo_core.plugins.hookspecs import HOOKS, PROJECT, hookimpl

_IMPLEMENTATION = f"{PROJECT}_impl"
_SPECIFICATION = f"{PROJECT}_spec"


LATER = "app"
"""The argument that all hooks have got in 1.1, which older implementations must not notice.

An optional argument with a similar name was no mistake then, and `**given` may be handed on to a function that takes
the older arguments only.
"""

DEPRECATED = "takes the deprecated argument"
"""In the remarks on arguments that hooks are to lose."""


class Findings(NamedTuple):
    """The findings in a plugin module.

    `hooks` are its implementations by the hook's name, `faults` what keeps it from working, `remarks` what does not.
    """

    hooks: dict[str, Callable[..., Any]]
    faults: list[str]
    remarks: list[str]


def examine(module: Any) -> Findings:
    """Find the hook implementations of a module, and their faults."""
    found = Findings({}, [], [])
    overlooked: dict[str, str] = {}
    for name, value in list(vars(module).items()):
        options = _options_of(value)
        if options is None:
            overlooked.update(_overlooked(module, name, value))
            continue
        hook = options.get("specname") or name
        if hook not in HOOKS:
            if meant := _nearest(hook, HOOKS):
                found.faults.append(f"{hook} is no hook: did you mean {meant}?")
            else:
                found.remarks.append(f"implements {hook}, which is no hook of this version")
        elif hook in found.hooks:
            found.faults.append(f"{hook} is implemented twice")
        elif fault := fault_of(hook, value):
            found.faults.append(fault)
        else:
            found.hooks[hook] = value
            found.remarks.extend(_remarks(hook, value))
    found.faults.extend(fault for hook, fault in overlooked.items() if hook not in found.hooks)
    return found


def _options_of(value: Any) -> dict[str, Any] | None:
    """The options given to `hookimpl`; None for unmarked functions."""
    try:
        options = getattr(value, _IMPLEMENTATION, None)
    except Exception:  # a module may hold anything, also objects that do not like to be asked
        return None
    return options if isinstance(options, dict) else None


def _overlooked(module: Any, name: str, value: Any) -> dict[str, str]:
    """Functions that look like hooks but are none, unmarked or in a class: the hook's name and the reason."""
    if inspect.isfunction(value):
        is_ours = value.__module__ == module.__name__ and name in HOOKS
        return {name: f"{name} is not marked with @hookimpl"} if is_ours else {}
    owner = value if inspect.isclass(value) else type(value)
    if owner.__module__ != module.__name__:
        return {}
    return {
        options.get("specname")
        or method: f"{method} is in the class {owner.__name__}: hooks are functions of the module"
        for method, member in vars(owner).items()
        if (options := _options_of(member) or _options_of(getattr(member, "__func__", None))) is not None
    }


def fault_of(hook: str, function: Any) -> str | None:
    """The reason why an implementation cannot be called with its hook's arguments; None if it can."""
    options = _options_of(function) or {}
    if options.get("wrapper") or options.get("hookwrapper"):
        return f"{hook} is a wrapper: hooks of algo have none"
    if not callable(function):
        return f"{hook} is a {type(function).__name__}, which cannot be called"
    inner = _innermost(function)
    if inspect.iscoroutinefunction(inner) or inspect.isasyncgenfunction(inner):
        return f"{hook} is async: a hook has to answer when it is called"
    if inspect.isgeneratorfunction(inner):
        return f"{hook} is a generator: return the answer instead of yielding it"
    given = list(inspect.signature(HOOKS[hook].specification).parameters)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return f"{hook} does not say which arguments it takes"
    unknown = [parameter for parameter in parameters if parameter.name not in given and parameter.kind not in _VARIADIC]
    taken = {parameter.name for parameter in parameters}
    needed = [p.name for p in unknown if p.default is p.empty or _nearest(p.name, {*given} - taken - {LATER})]
    if needed:
        return f"{hook} takes {', '.join(needed)}, which the hook does not give: its arguments are {', '.join(given)}"
    return None


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _innermost(function: Any) -> Any:
    """The underlying function of partials, declared wrappers, static methods and callable objects."""
    seen = 0
    while seen < 100:
        seen += 1
        inner = (
            function.func
            if isinstance(function, functools.partial)
            else getattr(function, "__wrapped__", None) or getattr(function, "__func__", None)
        )
        if inner is None:
            break
        function = inner
    is_plain = inspect.isroutine(function) or inspect.isclass(function)
    return function if is_plain else vars(type(function)).get("__call__", function)


def _remarks(hook: str, function: Callable[..., Any]) -> Iterator[str]:
    """Remarks for the author about an implementation that works."""
    given = inspect.signature(HOOKS[hook].specification).parameters
    advice = getattr(HOOKS[hook].specification, _SPECIFICATION)["warn_on_impl_args"] or {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name in advice:
            yield f"{hook} {DEPRECATED} {name}: {advice[name]}"
        elif name not in given and parameter.kind not in _VARIADIC:
            yield f"{hook} takes {name}, which the hook of this version does not give"


def caller(hook: str, function: Callable[..., Any]) -> Callable[[Mapping[str, Any]], Any]:
    """Calls an implementation with the hook's arguments that it accepts, by position or by name."""
    positional: list[str] = []
    by_name: list[str] = []
    takes_rest = False
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            takes_rest = True
        elif parameter.name in inspect.signature(HOOKS[hook].specification).parameters:
            (positional if parameter.kind is parameter.POSITIONAL_ONLY else by_name).append(parameter.name)

    def call(given: Mapping[str, Any]) -> Any:
        rest = [name for name in given if takes_rest and name not in {*positional, *by_name, LATER}]
        named = {name: given[name] for name in (*by_name, *rest) if name in given}
        return function(*(given[name] for name in positional), **named)

    return call


def listener(hook: str, function: Callable[..., Any], argument: str, app: Any) -> Callable[[Any], Any]:
    """Calls an implementation with one argument of the hook, and `app`, as directly as its parameters allow."""
    parameters = inspect.signature(function).parameters.values()
    if all(parameter.kind in BY_POSITION for parameter in parameters):
        names = [parameter.name for parameter in parameters]
        if names == [argument]:
            return function
        if names == [argument, "app"]:
            return lambda value: function(value, app)
    call = caller(hook, function)
    return lambda value: call({argument: value, "app": app})


BY_POSITION = frozenset({inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD})


def stand_in(hook: str, function: Callable[..., Any], call: Callable[[Mapping[str, Any]], Any]) -> Callable[..., Any]:
    """The function registered with pluggy for an implementation: it takes all arguments of the hook, in the hook's
    order. Every version of pluggy inspects the signature of the wrapped function.
    """
    specification = HOOKS[hook].specification
    names = list(inspect.signature(specification).parameters)
    options = _options_of(function) or {}

    @functools.wraps(specification, updated=())
    def called(*arguments: Any) -> Any:
        return call(dict(zip(names, arguments, strict=True)))

    marked: Callable[..., Any] = hookimpl(
        called, tryfirst=bool(options.get("tryfirst")), trylast=bool(options.get("trylast"))
    )
    return marked


def _nearest(name: str, known: Any) -> str | None:
    from difflib import get_close_matches

    found = get_close_matches(name, list(known), n=1, cutoff=0.7)
    return found[0] if found else None
