"""Run one algorithm by the platform's process protocol, inside the algorithm's own Python (API sections 8.4-8.6).

`supervisor.py` calls `main` in a process of the algorithm's own, whose working directory is a tree of its own;
executors of plugins start this file as a program. It imports the standard library only: the interpreter that runs it
knows no package of ours, and is Python 3.6 or later. So annotations that 3.6 cannot evaluate are quoted, and nothing
newer is used.

* A module that serves itself (the ADK's `ADK(apply).init()`, or the older `Algorithmia.handler(apply).serve()`) is
  imported and left to it, with the published packages repaired where today's Python breaks them; see `REPAIRS`.
* A module with a plain `apply(input)`, and perhaps a `load()`, is served from here.
"""

import io
import json
import sys
from importlib import import_module
from importlib.machinery import PathFinder

TYPE_CHECKING = False  # not that of `typing`, whose import costs as much as all others here
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_Module = type(sys)

_RESERVE = [bytearray(4 << 20)]
"""Memory that is never touched, to be given back when there is no other: not even a function can be called then."""


class Pipe:
    """The FIFO for answers, and whether the algorithm writes to it itself."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.taken = False

    def move(self, path: str) -> None:
        """Redirect answers to another path."""
        self._path = path

    def path(self) -> str:
        """The stream for one response. Flushes: output printed before the response belongs to this request."""
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (AttributeError, OSError, ValueError):
                pass  # an algorithm may close or replace them: it loses its output, not its answer
        return self._path

    def answer(self, text: str) -> None:
        """Write one line, opened and closed for it alone as the protocol wants."""
        with open(self.path(), "w", encoding="utf-8") as fifo:
            fifo.write(text + "\n")

    def as_attribute(self) -> property:
        """Stand-in for the attribute `FIFO_PATH`, which both published classes set to one path for a whole machine."""

        def take(instance: object, value: str) -> None:
            self.taken = True

        return property(lambda instance: self.path(), take)


def _give_back_memory(error: BaseException) -> None:
    """Forget the variables of the calls that an error came through: what filled the memory is among them."""
    trace = error.__traceback__
    while trace is not None:
        try:
            trace.tb_frame.clear()
        except RuntimeError:
            pass  # still running: ours
        trace = trace.tb_next


def error_line(error: BaseException, default: str) -> str:
    """The error object of the protocol; `error.error_type`, where there is one, names the kind."""
    if isinstance(error, MemoryError):
        _give_back_memory(error)
    import traceback

    kind = getattr(error, "error_type", None)
    details = {
        "message": str(error) or type(error).__name__,
        "error_type": kind if isinstance(kind, str) else default,
        "stacktrace": "".join(traceback.format_exception(type(error), error, error.__traceback__)),
    }
    return json.dumps({"error": details})


def result_line(result: "Any") -> str:
    """The result object of the protocol: bytes are binary, strings are text, all else is JSON."""
    if isinstance(result, (bytes, bytearray)):
        import base64

        content_type, result = "binary", base64.b64encode(result).decode()
    else:
        content_type = "text" if isinstance(result, str) else "json"
    return json.dumps({"result": result, "metadata": {"content_type": content_type}})


def _copy_of(module: "ModuleType", **changes: "Any") -> "ModuleType":
    copy = _Module(module.__name__)
    copy.__dict__.update(vars(module), **changes)
    return copy


def _repair_adk(module: "Any", pipe: Pipe) -> None:
    """One FIFO for each process: two algorithms on one machine would otherwise read each other's answers."""
    module.ADK.FIFO_PATH = pipe.as_attribute()


def _repair_adk_errors(module: "Any", pipe: Pipe) -> None:
    """`create_exception` passes the keyword `etype`, gone since Python 3.10: every error would end the process."""
    import traceback

    def format_exception(*args: "Any", etype: "Any" = None, **named: "Any") -> "list[str]":
        return traceback.format_exception(*(args if etype is None else (etype, *args)), **named)

    module.traceback = _copy_of(traceback, format_exception=format_exception)


def _repair_adk_models(module: "Any", pipe: Pipe) -> None:
    """Optional files of a manifest stay for the calls that follow, whose temporary directory is empty again.

    One that cannot be fetched is asked for again by the next call, which otherwise finds an empty dictionary.
    """
    fetch = module.ModelData.find_optional_model

    def find_optional_model(models: "Any", name: str) -> None:
        import os
        import shutil
        import tempfile

        place = tempfile.mkdtemp(dir=os.path.expanduser("~"))
        before, tempfile.tempdir = tempfile.tempdir, place
        try:
            fetch(models, name)
        except BaseException:
            models.models.pop(name, None)
            shutil.rmtree(place, ignore_errors=True)
            raise
        finally:
            tempfile.tempdir = before

    module.ModelData.find_optional_model = find_optional_model


def _repair_handler(module: "Any", pipe: Pipe) -> None:
    """Private FIFO as above; `getargspec`, gone since Python 3.11; and `bytes(str)`, which cannot decode base64."""
    import base64
    import inspect

    module.Handler.FIFO_PATH = pipe.as_attribute()
    module.Handler.wrap_binary_data = lambda handler, data: base64.b64decode(data)
    if not hasattr(inspect, "getargspec"):

        def getargspec(function: "Callable[..., Any]") -> "tuple[Any, ...]":
            return tuple(inspect.getfullargspec(function)[:4])

        module.inspect = _copy_of(inspect, getargspec=getargspec)


def _repair_insights(module: "Any", pipe: Pipe) -> None:
    """It sends no key, so that nobody could tell whose insights these are."""
    import os

    requests = module.requests

    def post(*args: "Any", headers: "Any" = None, **named: "Any") -> "Any":
        key = os.environ.get("ALGORITHMIA_API_KEY", "")
        return requests.post(*args, headers=dict(headers or {}, Authorization=key), **named)

    module.requests = _copy_of(requests, post=post)


REPAIRS: "dict[str, Callable[[Any, Pipe], None]]" = {
    "adk.ADK": _repair_adk,
    "adk.io": _repair_adk_errors,
    "adk.modeldata": _repair_adk_models,
    "Algorithmia.handler": _repair_handler,
    "Algorithmia.insights": _repair_insights,
}
"""Repairs of modules of the published packages, applied right after their import."""


class Repairs:
    """Import hook that applies `REPAIRS`, so that an algorithm that imports none of them pays for none."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """The ordinary spec, whose loader repairs the module once it is loaded; None for every other module."""
        repair = REPAIRS.get(name)
        spec = PathFinder.find_spec(name, path, target) if repair else None
        if repair is None or spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_and_repair(module: "ModuleType") -> None:
            load(module)
            repair(module, self._pipe)

        spec.loader.exec_module = load_and_repair  # type: ignore[method-assign]  # of this one loader, not its class
        return spec


def _bind(module: "Any") -> "Callable[[Any], Any]":
    """The function that takes a request's input: `apply`, given what `load()` returned if it asks for two arguments.

    Only a `load` of the module itself that needs no argument is meant; `from json import load` is not.
    """
    import inspect

    apply, load = module.apply, getattr(module, "load", None)
    if not callable(load) or getattr(load, "__module__", None) != module.__name__:
        return apply  # type: ignore[no-any-return]  # whatever it is, the module calls it so
    if any(parameter.default is parameter.empty for parameter in inspect.signature(load).parameters.values()):
        return apply  # type: ignore[no-any-return]  # as above
    state = load()
    if len(inspect.signature(apply).parameters) == 2:
        return lambda data: apply(data, state)
    return apply  # type: ignore[no-any-return]  # as above


def serve(module: "Any", pipe: Pipe, forks: "Any" = None) -> None:
    """Answer each request line on standard input until it ends; a failed load is the answer to all of them.

    With `forks` (`replicas.py`), and where that is possible, replicas of this process do so instead.
    """
    failed_load = None
    try:
        apply = _bind(module)
    except Exception as error:
        failed_load = error_line(error, "LoadingError")
    is_forked = forks is not None and failed_load is None and forks.announce()
    sys.stdout.write("PIPE_INIT_COMPLETE\n")
    sys.stdout.flush()
    if is_forked:
        pipe.move(forks.wait())
        sys.stdout.write("PIPE_INIT_COMPLETE\n")
        sys.stdout.flush()
    for line in sys.stdin:
        if failed_load is not None:
            pipe.answer(failed_load)
            continue
        try:
            request = json.loads(line)
            data = request["data"]
            if request["content_type"] == "binary":
                import base64

                data = base64.b64decode(data)
            answer = result_line(apply(data))
        except MemoryError as error:
            _RESERVE.clear()
            answer = error_line(error, "OutOfMemoryError")
        except SystemExit as error:
            if isinstance(error.code, str):
                pipe.answer(error_line(error, "SystemExit"))
                sys.exit(1)
            raise
        except Exception as error:
            answer = error_line(error, "AlgorithmError")
        pipe.answer(answer)


def main(source: str, name: str, fifo: str, forks: "Any" = None) -> int:
    """Import the algorithm and serve it; 0 when standard input ends, 1 when the algorithm could not be loaded."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    else:  # Python 3.6
        sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", line_buffering=True)
    sys.argv = [name]
    sys.path.insert(0, source)
    pipe = Pipe(fifo)
    sys.meta_path.insert(0, Repairs(pipe))
    try:
        module = import_module(name)
        if not pipe.taken:
            serve(module, pipe, forks)
    except SystemExit as error:
        if not isinstance(error.code, str):
            raise
        pipe.answer(error_line(error, "LoadingError"))
        return 1
    except Exception as error:
        _RESERVE.clear()
        if isinstance(error, ModuleNotFoundError):
            error.msg += _neighbour(error.name or "", source)
        pipe.answer(error_line(error, "LoadingError"))
        return 1
    return 0


def _neighbour(name: str, source: str) -> str:
    """How a module of the algorithm's own is imported, if that of this name was meant."""
    import os

    name = name.partition(".")[0]
    place = os.path.join(source, "src", name)
    if name and (os.path.isfile(place + ".py") or os.path.isdir(place)):
        return f"; src/{name} is imported with: from . import {name}"
    return ""


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
