"""The console entry: `--version` before anything heavy, and the only place where an exception becomes an exit code."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # typing's own would have to be imported
if TYPE_CHECKING:
    from typing import NoReturn

    import click

    from algo_core.context import App
    from algo_core.errors import AlgoError

GARBAGE_THRESHOLD = 200_000
"""Threshold of the garbage collector; the interpreter's 700 suits programs that are already running."""

_SIGINT = 2


def main() -> NoReturn:
    """Run `algo` with the arguments of the process, and end the process with its exit code."""
    try:
        code = _code_of(sys.argv[1:])
    except (KeyboardInterrupt, Exception) as error:
        if not (stopped := _interruption(error)):
            raise
        code = 128 + getattr(stopped, "number", _SIGINT)
    _end_at_once_on_signals()
    sys.exit(code)


def _code_of(arguments: list[str]) -> int:
    _open_closed_streams()
    if arguments == ["--version"]:
        from algo_core.version import __version__

        return _flushed(0, f"algo {__version__}\n")
    import gc

    # Imports make many objects and hardly any garbage: collecting between them, and once more at the end, would be
    # a fifth of the time of a short command.
    gc.set_threshold(GARBAGE_THRESHOLD, 50, 50)
    code = run(arguments)
    gc.freeze()
    return code


def _end_at_once_on_signals() -> None:
    """Ignore tracebacks of signals at the interpreter's exit: all output is written by then."""
    import _signal  # type: ignore[import-not-found]  # `signal` itself would import enum

    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        if callable(_signal.getsignal(number)):
            _signal.signal(number, lambda number, frame: os._exit(128 + number))


def _open_closed_streams() -> None:
    """Replace streams that the shell closed (`>&-`) before a file gets their descriptor.

    Standard input stays None, so that its readers can report that it is closed. Lost results make the command fail at
    its end; lost remarks do not.
    """
    if sys.stdin is None:
        os.open(os.devnull, os.O_RDONLY)
    if sys.stdout is None:
        import io

        from algo_core.terminal.output import Nowhere

        nowhere = Nowhere(os.open(os.devnull, os.O_WRONLY))
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(nowhere), encoding="utf-8", errors="surrogateescape")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # open until the process ends


def run(arguments: list[str]) -> int:
    """Run `algo` with these arguments; every failure is reported on stderr and becomes the exit code."""
    from algo_core.context import App

    app = App(os.environ)
    try:
        code = 1
        try:
            code = _flushed(_guarded(arguments, app), app=app)
            return code
        except KeyboardInterrupt as stopped:
            code = _stopped(stopped)
            raise
        finally:
            app.end(code)
            app.close()
    except KeyboardInterrupt as stopped:
        return _stopped(stopped)


def _guarded(arguments: list[str], app: App) -> int:
    from algo_core import cli

    app.output.is_json = _asks_for_json(arguments)  # until the command line is read, which may fail before that
    try:
        code = cli.run(arguments, app)
        sys.stdout.flush()
        return code
    except BaseException as error:  # of a plugin it may be any
        return _reported(error, app)


def _asks_for_json(arguments: list[str]) -> bool:
    if "--" in arguments:
        arguments = arguments[: arguments.index("--")]
    return any(word == "--json" or word.startswith("--json=") for word in arguments)


def _reported(error: BaseException, app: App) -> int:
    import click

    from algo_core.errors import AlgoError, ExitCode

    if ended := _ended(error, app):
        return app.report(ended)
    if isinstance(error, SystemExit):
        raise error  # the command's own end
    if stopped := error if isinstance(error, click.Abort) else _interruption(error):
        if app.output.is_json:
            app.output.tell(error={"type": "Interrupted", "message": "Interrupted"})
        elif not app.environ.get("_ALGO_COMPLETE"):  # TAB says nothing
            app.output.info("")
            app.output.info(f"Interrupted: {app.so_far}" if app.so_far else "Interrupted")
        return _stopped(stopped)
    if isinstance(error, BrokenPipeError) and _is_unread():
        return ExitCode.BROKEN_PIPE
    without_command = getattr(click.exceptions, "NoArgsIsHelpError", ())  # older versions of click have none
    if isinstance(error, without_command) and not app.output.is_json:
        app.output.log(error.format_message())
        return ExitCode.USAGE
    if isinstance(error, click.UsageError):
        return app.report(_of_usage(error))
    if isinstance(error, click.ClickException):
        return app.report(AlgoError(error.format_message()))
    if isinstance(error, AlgoError):
        return app.report(error)
    if isinstance(error, OSError):
        return app.report(_from_system(error))
    return app.report(_unexpected(error, app))


def _of_usage(error: click.UsageError) -> AlgoError:
    """The error for a wrong command line: similar options, the likeliest first, are part of the hint."""
    import click

    from algo_core.errors import UsageError

    hint = f"See: {error.ctx.command_path if error.ctx else 'algo'} --help"
    if not isinstance(error, click.NoSuchOption):
        return UsageError(error.format_message().removesuffix("."), hint)
    if similar := error.possibilities:
        hint = f"Did you mean {' or '.join(similar[:2])}? {hint}"
    return UsageError(error.message.removesuffix("."), hint)


def _ended(error: BaseException, app: App) -> AlgoError | None:
    """The error of a plugin that tried to end the process, or let an error of the system pass, when `algo` called it.

    Without this an exit would be silent, and the system's error would pass for one about the command's own files.
    """
    from algo_core.errors import PluginError, cause
    from algo_core.terminal.signals import is_of_a_signal

    is_exit = not isinstance(error, Exception)
    if (
        is_of_a_signal(error)
        or not (is_exit or isinstance(error, OSError))
        or (isinstance(error, BrokenPipeError) and _is_unread())
    ):
        return None
    try:
        owner = app.plugins.ended_by(error)
        if owner and not is_exit:
            from algo_core.plugins.recorded import standard

            owner = None if owner.dist in standard() else owner
    except Exception:  # the plugins themselves may be what has failed
        owner = None
    if owner is None:
        return None
    return PluginError(
        f"The plugin {owner.label} failed: {cause(error)}",
        f"Leave it out with: algo plugins disable {owner.dist}; see where with: algo --debug COMMAND ...",
    )


def _is_unread() -> bool:
    """Whether standard output is the broken pipe: nothing reads it any more."""
    import select

    try:
        watch = select.poll()
        watch.register(sys.stdout.fileno(), 0)
        return any(event & select.POLLERR for _, event in watch.poll(0))
    except (AttributeError, OSError, ValueError):  # no poll on this system, or no descriptor
        return True


def _interruption(error: BaseException | None) -> BaseException | None:
    """The interruption by Ctrl-C, also if it caused another exception."""
    seen: set[int] = set()  # a chain may lead back to where it began
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def _stopped(cause: BaseException) -> int:
    from algo_core.terminal.signals import exit_code_of

    return exit_code_of(cause)


def _from_system(error: OSError) -> AlgoError:
    from algo_core.errors import AlgoError, NotFoundError

    text = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    return NotFoundError(text) if isinstance(error, FileNotFoundError) else AlgoError(text)


def _unexpected(error: BaseException, app: App) -> AlgoError:
    from algo_core.errors import PluginError, cause

    return PluginError(
        f"{_origin(error, app)} failed unexpectedly: {cause(error)}",
        "This is a defect; see where with: algo --debug COMMAND ...",
    )


def _origin(error: BaseException, app: App) -> str:
    """The plugin in which an exception arose, for the message, or `algo`."""
    try:
        owner = app.plugins.owner_of(error)
    except Exception:  # the plugins themselves may be what has failed
        return "algo"
    return f"The plugin {owner.label}" if owner else "algo"


def _flushed(code: int, last: str = "", app: App | None = None) -> int:
    """Write everything that is left, then `last`; return the exit code."""
    try:
        sys.stdout.write(last)
        sys.stdout.flush()
        return code or _lost(app)
    except BrokenPipeError:
        from algo_core.errors import ExitCode

        _drop_stdout()
        return ExitCode.BROKEN_PIPE
    except OSError as error:
        _drop_stdout()
        return code or _unwritten(error.strerror or str(error), app)


def _lost(app: App | None) -> int:
    """0, or 1 if there was a result and no standard output."""
    if "algo_core.terminal.output" not in sys.modules:
        return 0
    from algo_core.terminal.output import CLOSED, Nowhere

    nowhere = Nowhere.behind(sys.stdout)
    return _unwritten(CLOSED, app) if nowhere and nowhere.has_lost else 0


def _unwritten(why: str, app: App | None) -> int:
    if app:
        app.output.error(why)
    else:
        sys.stderr.write(f"error: {why}\n")
    from algo_core.errors import ExitCode

    return ExitCode.FAILURE


def _drop_stdout() -> None:
    """Keep the interpreter from flushing, and from complaining, at exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass
