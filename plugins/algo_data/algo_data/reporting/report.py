"""Reports of data commands: results on stdout, failures on stderr while the command continues."""

from __future__ import annotations

import json
import re
from typing import Any

import click

from algo_core.context import App
from algo_core.errors import AlgoError, AuthError, ConfigError, PermissionDenied, TlsError
from algo_data.reporting.advice import advice_for

FATAL = (AuthError, ConfigError, TlsError)
"""Errors that would occur for every other operand as well."""


class Report:
    """Reports results and failures; `finish` ends the command with the exit code of the first failure.

    With `is_alone` there is one operand: its failure ends the command as any other error would.
    """

    def __init__(self, app: App, *, is_alone: bool) -> None:
        self._app = app
        self._is_alone = is_alone
        self._code = 0

    @property
    def has_failed(self) -> bool:
        """Whether anything has failed so far."""
        return self._code != 0

    @property
    def tells_results(self) -> bool:
        """Whether results are printed."""
        return not self._app.output.quiet

    def result(self, text: str, **members: Any) -> None:
        """Report an action, as a line of text or a JSON object on one line; `--quiet` drops it."""
        if not self.tells_results:
            return
        output = self._app.output
        if output.is_json:
            output.json_text(json.dumps(members) + "\n")
        else:
            output.line(text)
        output.stdout.flush()

    def deleted(self, what: object, *, is_dry: bool = False, **members: Any) -> None:
        """Report a removal, in one form for all commands."""
        word = "Would delete" if is_dry else "Deleted"
        self.result(f"{word} {what}", action=word.lower(), path=str(what), **members)

    def failed(self, what: object, error: AlgoError) -> None:
        """Report a failure; raise it if all other operands would fail as well."""
        if self._is_alone or (isinstance(error, FATAL) and not isinstance(error, PermissionDenied)):
            raise error
        error.hint = error.hint or advice_for(error)
        name = str(what)
        if not re.search(rf"(?<!\S){re.escape(name)}(?![^\s:,])", error.message):
            error.message = f"{name}: {error.message}"
        error = self._app.plugins.checked(error)
        self._code = self._code or error.exit_code
        self.say(name, error)

    def say(self, name: str, error: AlgoError) -> None:
        """Write a failure, whose message contains the name of what has failed."""
        output = self._app.output
        if output.is_json:
            described = error.as_dict()
            described["error"]["path"] = name
            output.tell(**described)
            return
        output.error(error.message)
        if error.hint:
            output.hint(error.hint)

    def finish(self) -> None:
        """End the command with the exit code of the first failure, if there was one."""
        if self._code:
            click.get_current_context().exit(self._code)
