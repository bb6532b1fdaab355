"""`algo local test` and `algo local shell`: run tests or a program in an algorithm's own environment."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from algo_core import App, pass_app
from algo_core.errors import AlgoError, ExitCode, NotFoundError, UsageError
from algo_core.plugins.types import DirectoryRun
from algo_core.scratch import scratch_directory
from algo_local.state import State

if TYPE_CHECKING:
    from algo_local.algorithms.build import Build
    from algo_local.cases import Case
    from algo_local.execution.payload import Outcome
    from algo_local.platform import Platform
    from algo_local.web.directory_calls import DirectoryCalls

_PATTERNS = ("*_test.py", "test_*.py")
"""The names of files with tests, as pytest finds them."""

_ENDINGS = {"python3": ".py", "javascript": ".js", "r": ".R"}

_STARTED = {"python3": "python", "javascript": "node", "r": "R"}
"""The interpreters that people start."""

_NONE_FOUND = 5
"""The exit code of pytest without tests."""


class TestsFailed(AlgoError):
    """Tests or cases of an algorithm failed."""


def _environment(values: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--env must be NAME=VALUE, not {name[:50]!r}", "For example --env MODE=fast")
        found[name] = value
    return found


@contextmanager
def _built(app: App, directory: str, env: tuple[str, ...]) -> Iterator[tuple[Platform, DirectoryCalls]]:
    """Build the algorithm in a directory; the build is removed at the end of the block."""
    from algo_local.opening import open_platform
    from algo_local.web.directory_calls import DirectoryCalls

    report = app.output.info if app.verbose or app.output.shows_progress else None
    run = DirectoryRun(directory, _environment(env), report=report, on_delay=app.output.info)
    platform = open_platform(State.of())
    try:
        calls = DirectoryCalls(platform, run)
        try:
            yield platform, calls
        finally:
            calls.close()
    finally:
        platform.close()


@click.command()
@click.argument("directory", type=click.Path())
@click.argument("arguments", metavar="[-- ARGUMENT...]", nargs=-1)
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="Set a variable in its environment (repeatable).")
@pass_app
def test(app: App, directory: str, arguments: tuple[str, ...], env: tuple[str, ...]) -> None:
    """Run the tests and recorded cases of an algorithm.

    Tests are run in the algorithm's own environment, on a copy of the directory: by pytest; in JavaScript by the test
    script of package.json, else by 'node --test'; in R file by file. Cases are those of its TEST_CASES.json and the
    sample input of its algorithmia.conf. Exit code 1 if any fails.

    \b
    Examples:
      algo local test ./my_algorithm
      algo local test ./my_algorithm -- -k greets -x
    """
    from algo_local.cases import LIKE, NAME, cases_of
    from algo_local.execution.payload import Payload
    from algo_local.sample_runs import call

    with _built(app, directory, env) as (platform, calls):
        cases = cases_of(calls.path)
        has_tests = _has_tests(calls.version.build)
        if not cases and not has_tests:
            raise NotFoundError(
                f"{directory} has no tests and no {NAME}",
                f"Write src/NAME_test{_ENDINGS[calls.version.build.language]}, or cases such as [{LIKE}]",
            )
        code = _run_tests(app, platform, calls, arguments, _environment(env)) if has_tests else 0
        names = calls.version.algorithm.owner, calls.version.algorithm.name
        failures = run_cases(
            app, cases, lambda given: call(platform, calls.version.build, Payload("json", given), names)
        )
    tell_and_judge(app, cases, failures, code if has_tests else None)


def _has_tests(build: Build) -> bool:
    if build.language == "javascript":
        from algo_local.algorithms.tools import javascript_tests

        return bool(javascript_tests(build.source))
    if build.language == "r":
        from algo_local.algorithms.tools import r_tests

        return bool(r_tests(build.source))
    return any(next(build.source.rglob(pattern), None) for pattern in _PATTERNS)


def run_cases(app: App, cases: list[Case], call: Callable[[Any], Outcome]) -> dict[int, str]:
    """The reasons of failed cases by their numbers; each is reported as it ends. `call` calls with an input."""
    failures = {}
    for number, case in enumerate(cases):
        wrong = case.failure(call(case.input))
        if wrong:
            failures[number] = wrong
        if not app.output.is_json:
            app.output.print(f"{'FAILED' if wrong else 'ok    '}  {case.name}{f': {wrong}' if wrong else ''}")
    return failures


def tell_and_judge(app: App, cases: list[Case], failures: dict[int, str], code: int | None = None) -> None:
    """Print the results as JSON, if requested. `code` is the exit code of the tests, if there are any.

    Raises:
        TestsFailed: if tests or cases failed.
    """
    if app.output.is_json:
        results = [{"case_name": case.name, "failure": failures.get(number)} for number, case in enumerate(cases)]
        app.output.json({"tests": None if code is None else {"exit_code": code}, "cases": results})
    failed = [*(["tests"] if code not in {None, ExitCode.OK, _NONE_FOUND} else [])]
    failed += [f"{len(failures)} of {len(cases)} cases"] if failures else []
    if failed:
        raise TestsFailed(f"{' and '.join(failed).capitalize()} failed")


def _run_tests(
    app: App, platform: Platform, calls: DirectoryCalls, arguments: tuple[str, ...], env: dict[str, str]
) -> int:
    """The exit code of the tests on a copy of the directory. They write to stdout, with `--json` to stderr."""
    from algo_local.algorithms.progress import told_regularly
    from algo_local.algorithms.tools import javascript_tests, r_tests, variables, with_packages, with_tests
    from algo_local.trees import make_writable

    build = calls.version.build
    with told_regularly(app.output.info if app.verbose else None, app.output.info) as report:
        if build.language == "javascript":
            program, words = with_tests(platform.root, build, report), javascript_tests(build.source)
        elif build.language == "r":
            program, words = build.python, r_tests(build.source)
        else:
            program = with_packages(platform.root, build, calls.path, ["pytest"], report)
            words = [str(program), "-m", "pytest", "-p", "no:cacheprovider"]
    with scratch_directory() as scratch:
        copy = Path(scratch, calls.path.resolve().name)
        shutil.copytree(build.source, copy, symlinks=True)
        make_writable(copy)
        if build.language == "javascript":
            modules = program.parent.parent / "node_modules"
            if modules.is_dir():
                (copy / modules.name).symlink_to(modules)
        elif build.language == "python3":
            words += ["--rootdir", str(copy)]
        app.output.stdout.flush()
        told = subprocess.PIPE if app.output.is_json else None
        both = subprocess.STDOUT if app.output.is_json else None
        environ = variables(program, copy, env)
        command = [shutil.which(words[0], path=environ["PATH"]) or words[0], *words[1:], *arguments]
        done = subprocess.run(command, cwd=copy, env=environ, stdout=told, stderr=both, check=False)
    if done.stdout:
        app.output.log(done.stdout.decode("utf-8", "replace").rstrip("\n"))
    return done.returncode


@contextmanager
def _interrupts_left_to_it() -> Iterator[None]:
    """Leave Ctrl-C to the program that runs, which is not ended by each."""
    previous = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("directory", type=click.Path())
@click.argument("command", metavar="[-- COMMAND...]", nargs=-1)
@click.option("--env", multiple=True, metavar="NAME=VALUE", help="Set a variable in its environment (repeatable).")
@click.pass_context
@pass_app
def shell(app: App, ctx: click.Context, /, directory: str, command: tuple[str, ...], env: tuple[str, ...]) -> None:
    """Run COMMAND, or an interpreter, in an algorithm's environment.

    The interpreter is Python, Node.js or R. The working directory is DIRECTORY, whose modules can be imported; the
    environment's programs come first on the PATH. The exit code is that of the program.

    \b
    Examples:
      algo local shell ./my_algorithm
      algo local shell ./my_algorithm -- bash
      algo local shell ./my_algorithm -- python -m src.Hello
    """
    from algo_local.algorithms.installation.environments import interpreter_of
    from algo_local.algorithms.tools import variables

    with _built(app, directory, env) as (_, calls):
        interpreter = interpreter_of(calls.version.build.python)
        surroundings = variables(calls.version.build.python, calls.path, _environment(env))
        started = _STARTED[calls.version.build.language]
        words = list(command) or [interpreter.program if started == "python" else started]
        program = shutil.which(words[0], path=surroundings["PATH"])
        if not program:
            raise NotFoundError(
                f"There is no program {words[0]}",
                f"Name one that is on the PATH, such as {started} or bash",
            )
        app.output.stdout.flush()
        code = subprocess.run([program, *words[1:]], cwd=calls.path, env=surroundings, check=False).returncode
    ctx.exit(code if code >= 0 else 128 - code)
