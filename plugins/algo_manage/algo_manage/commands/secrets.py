"""`algo secrets list`, `set` and `remove` (API section 6.6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, NotFoundError, PlatformError, UsageError
from algo_core.storage.uri import AlgorithmRef
from algo_core.terminal.prompts import Prompter, read_secret_from_stdin, text_on_stdin
from algo_core.text import decoded
from algo_manage import api
from algo_manage.completion import algorithm_argument, complete_secret


@click.command("list")
@algorithm_argument
@pass_app
def list_(app: App, algorithm: str) -> None:
    """List an algorithm's secrets, without their values.

    \b
    Example:
      algo secrets list me/Greeter
    """
    found = _secrets(app, api.named(app, algorithm))
    if app.output.is_json:
        app.output.json(found)
    elif found:
        rows = [
            tuple(api.member(entry, name) for name in ("secret_key", "short_name", "description", "modified"))
            for entry in found
        ]
        app.output.table(("Variable", "Name", "Description", "Modified"), rows)
    else:
        app.output.info(f"{algorithm} has no secrets")


@click.command("set")
@algorithm_argument
@click.argument("variable", metavar="VARIABLE", shell_complete=complete_secret)
@click.option(
    "--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Take the value from a file."
)
@click.option("--stdin", is_flag=True, help="Take all of standard input as the value.")
@click.option("--name", metavar="TEXT", help="Name for people. Default: VARIABLE.")
@click.option("--description", metavar="TEXT", help="Description of the secret.")
@pass_app
def set_(
    app: App,
    algorithm: str,
    variable: str,
    file: Path | None,
    stdin: bool,
    name: str | None,
    description: str | None,
) -> None:
    """Set the secret that an algorithm finds in the environment variable VARIABLE.

    Without --file and --stdin the value is asked for, or read as a line from a pipe.

    \b
    Example:
      algo secrets set me/Greeter DB_PASSWORD
      algo secrets set me/Greeter CERTIFICATE --file client.pem
    """
    if file and stdin:
        raise UsageError("--file cannot be combined with --stdin", "Leave one of them out")
    ref = api.named(app, algorithm)
    known = _find(_secrets(app, ref), variable)
    value = _value(app, variable, file, stdin)
    said = {"short_name": name, "description": description}
    body = {
        "secret_key": variable,
        "secret_value": value,
        **{key: text for key, text in said.items() if text is not None},
    }
    path = _path(app, ref)
    if known:
        found = api.send(app, "PUT", f"{path}/{api.member(known, 'id')}", body)
    else:
        providers = api.entries(app.api.get_json("secret-provider"))
        if not providers:
            raise PlatformError("The platform has no secret provider")
        owner = path.split("/")[1]
        made = {"owner_type": "algorithm", "owner_id": owner, "provider_id": api.member(providers[0], "id")}
        found = api.send(app, "POST", path, {"short_name": variable, "description": " ", **made, **body})
    if app.output.is_json:
        app.output.json(found)
    else:
        app.output.print(f"{'Changed' if known else 'Set'} {variable} of {ref}")


@click.command("remove")
@algorithm_argument
@click.argument("variable", metavar="VARIABLE", shell_complete=complete_secret)
@pass_app
def remove_(app: App, algorithm: str, variable: str) -> None:
    """Remove the secret in the environment variable VARIABLE.

    \b
    Example:
      algo secrets remove me/Greeter DB_PASSWORD
    """
    ref = api.named(app, algorithm)
    known = _find(_secrets(app, ref), variable)
    if not known:
        raise NotFoundError(f"{ref} has no secret {variable}", f"List its secrets with: algo secrets list {ref}")
    api.send(app, "DELETE", f"{_path(app, ref)}/{api.member(known, 'id')}")
    if app.output.is_json:
        app.output.json({"algorithm": str(ref), "variable": variable, "removed": True})
    else:
        app.output.print(f"Removed {variable} of {ref}")


def _path(app: App, ref: AlgorithmRef) -> str:
    """Secrets are known by the id of their algorithm everywhere, and by its name only on some platforms."""
    with api.suggesting(app, ref):
        return f"algorithms/{api.member(app.api.get_json(api.path_of(ref)), 'id')}/secrets"


def _secrets(app: App, ref: AlgorithmRef) -> list[Any]:
    return api.entries(app.api.get_json(_path(app, ref)))


def _find(found: list[Any], variable: str) -> Any:
    return next((entry for entry in found if api.member(entry, "secret_key") == variable), None)


def _value(app: App, variable: str, file: Path | None, stdin: bool) -> str:
    if file:
        try:
            return _given(decoded(file.read_bytes()))
        except OSError as error:
            raise AlgoError(f"Cannot read {file}: {error.strerror}") from error
        except UnicodeDecodeError:
            raise UsageError(
                f"{file} is not UTF-8 text", "Secrets are text: encode binary data, for example with base64"
            ) from None
    if stdin:
        return _given(text_on_stdin())
    prompter = Prompter(app.output)
    if not prompter.is_terminal:
        return read_secret_from_stdin("value")
    return prompter.ask(f"Value of {variable}", _given, hidden=True)


def _given(text: str) -> str:
    value = text.removesuffix("\n").removesuffix("\r")
    if not value:
        raise UsageError("The value is empty", "To remove the secret: algo secrets remove")
    return value
