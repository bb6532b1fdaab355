"""`algo clone`, and the credential helper that its clones ask for the key (API section 1.1)."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, ConfigError, PlatformError, UsageError
from algo_core.terminal.prompts import text_on_stdin
from algo_manage import api
from algo_manage.completion import algorithm_argument

if TYPE_CHECKING:
    from algo_core.settings.profile import Profile

_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)


@click.command()
@algorithm_argument
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path())
@pass_app
def clone(app: App, algorithm: str, directory: str | None) -> None:
    """Clone the git repository of an algorithm into the directory DIR.

    git asks 'algo' for the key whenever it needs it, so the key is in no file
    and in no list of processes. A push to the default branch starts a build.

    \b
    Example:
      algo clone me/Greeter
      cd Greeter && git push
    """
    ref = api.named(app, algorithm)
    with api.suggesting(app, ref):
        found = app.api.get_json(api.path_of(ref))
    git = shutil.which("git", path=app.environ.get("PATH"))
    if not git:
        raise ConfigError("git is not installed", "Install git, then try again")
    owner, name = (ref.owner, ref.name) if ref.name else _names_in(found)
    target = directory or name
    if os.path.exists(target) and (not os.path.isdir(target) or os.listdir(target)):
        raise UsageError(f"{target} exists already, and is not empty", f"Name another: algo clone {ref} DIR")
    profile = app.api.profile
    command = [git, "clone", *_settings(app, profile), "--", _address(profile, f"{owner}/{name}"), target]
    if app.output.is_json or app.output.quiet:
        command.insert(2, "--quiet")
    done = subprocess.run(
        command, env={**app.environ, "GIT_TERMINAL_PROMPT": "0"}, stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        message = f"git could not clone {owner}/{name} (exit code {done.returncode})"
        raise AlgoError(message, "See the message of git above")
    if app.output.is_json:
        app.output.json({"algorithm": f"{owner}/{name}", "directory": os.path.abspath(target)})
    else:
        app.output.info(f"Cloned {owner}/{name} into {target}")


@click.command("git-credential", hidden=True)
@click.argument("action")
@pass_app
def git_credential(app: App, action: str) -> None:
    """Tell git the API key for the platform of the profile (git's protocol of credential helpers)."""
    asked = dict(line.split("=", 1) for line in text_on_stdin().splitlines() if "=" in line)
    profile = app.profile
    place = urlsplit(_address(profile, ""))
    # The key is for the platform alone, wherever a repository leads git.
    if action != "get" or (asked.get("protocol"), asked.get("host")) != (place.scheme, place.netloc):
        return
    credential = profile.credential
    if credential is None:
        return
    app.output.print("username=algo")
    app.output.print(f"password={credential.secret.reveal()}")


def _names_in(found: Any) -> tuple[str, str]:
    """Owner and name of an algorithm that was given by its id. What a platform says must not lead to another place."""
    owner, name = (str(api.member(found, member)) for member in ("owner", "name"))
    if not (_NAME.fullmatch(owner) and _NAME.fullmatch(name)):
        raise PlatformError("The platform did not return the algorithm's name", "Name it as OWNER/NAME")
    return owner, name


def _address(profile: Profile, name: str) -> str:
    """The address of a repository: platforms with a domain of their own have another host for git."""
    if not profile.address.startswith("http"):
        raise UsageError(
            f"git cannot reach {profile.address}, which exists only inside the 'algo' process",
            "Serve it with 'algo local serve', and use the profile of that address",
        )
    return f"{profile.address.replace('//api.', '//git.', 1)}/git/{name}.git"


def _settings(app: App, profile: Profile) -> list[str]:
    """The clone's git configuration: the credential helper, and the trusted certificates."""
    words = [sys.executable, "-m", "algo_core", *(["--profile", app.profile_flag] if app.profile_flag else [])]
    helper = "!" + " ".join(map(shlex.quote, [*words, "git-credential"]))
    settings = {"credential.helper": ["", helper]}
    if profile.ca_cert:
        settings["http.sslCAInfo"] = [str(profile.ca_cert)]
    return [word for name, values in settings.items() for value in values for word in ("-c", f"{name}={value}")]
