"""`algo auth`: configure a profile, test it, save it (guide, "Authentication and configuration")."""

from __future__ import annotations

import re
from collections.abc import Callable

import click

from algo_core.context import App, pass_app
from algo_core.errors import AlgoError, AuthError, UsageError
from algo_core.settings.config import DEFAULT_ADDRESS, FROM_ENVIRONMENT, Config
from algo_core.settings.credentials import Credential, classify, store_in_keyring
from algo_core.settings.edit import editing, table_at
from algo_core.settings.profile import ASKED, Profile, check_address
from algo_core.settings.profiles import ProfileResolver, check_ca_file
from algo_core.terminal.prompts import Prompter, read_secret_from_stdin

_PROFILE_NAME = re.compile(r"\w[\w.@-]*")


@click.command()
@click.option("--api-address", metavar="URL", help="The API's address, without /v1.")
@click.option(
    "--api-key-stdin", is_flag=True, help="Read the API key or bearer token from standard input, without prompts."
)
@click.option("--ca-cert", metavar="PATH", help="PEM file of a CA to trust in addition to the public ones.")
@click.option("--insecure-http", is_flag=True, help="Allow an http:// address on another machine.")
@click.option("--keyring", is_flag=True, help="Keep the key in the system's keyring instead of the file.")
@click.option("--no-test", is_flag=True, help="Save the profile without testing it.")
@pass_app
def auth(
    app: App,
    api_address: str | None,
    api_key_stdin: bool,
    ca_cert: str | None,
    insecure_http: bool,
    keyring: bool,
    no_test: bool,
) -> None:
    """Configure a profile: the platform's address and your key.

    Asks for the API's address, for an API key or bearer token, which is not shown, and for an optional CA
    certificate; tests the profile, saves it, and prints the account's name.

    \b
    Examples:
      algo auth
      algo auth --profile work --api-address https://api.example.com
      printf '%s\\n' "$KEY" | algo auth --api-address URL --api-key-stdin
    """
    app.check()
    name = str(app.config.get("profile", flag=app.profile_flag).value)
    if not _PROFILE_NAME.fullmatch(name):
        raise UsageError(f"Not a profile name: {name!r}", "Use letters, digits, and . _ - @")
    questions = _Questions(app, name, insecure_http)
    app.output.info(f"Configuring authentication for profile: {name}")
    if api_key_stdin:
        profile = questions.from_options(api_address, read_secret_from_stdin("API key"), ca_cert)
        account = None if no_test else _account(app, profile)
    else:
        profile, account = _asked(app, questions, api_address, ca_cert, no_test)
    _save(app, profile, keyring=keyring)
    before = _what_goes_before(app, profile)
    if app.output.is_json:
        app.output.json({"profile": name, "address": profile.address, "account": account})
    elif account is None:
        app.output.print(f"Profile {name} is saved; it was not tested")
    else:
        flag = "" if name == "default" and not before else f" --profile {name}"
        test = app.plugins.suggested("try") or "algo doctor"
        app.output.info(f"Profile {name} is ready to use. Test with '{test}{flag}'")
        app.output.line(f"Account: {account}")
    for sentence in before:
        app.output.warn(sentence)


class _Questions:
    """The three questions, and the checks of their answers."""

    def __init__(self, app: App, name: str, insecure_http: bool) -> None:
        found = app.profiles.table(name)
        table = found[0] if found else {}
        self.name = name
        self.insecure_http = insecure_http or bool(app.config.get("insecure_http", profile=table).value)
        self.enforced_address = app.config.enforced("address")
        self.enforced_ca = app.config.enforced("ca_cert")
        ambient = app.environ.get("ALGORITHMIA_API", "").strip()
        self.default_address = str(table.get("address") or ambient or DEFAULT_ADDRESS)
        if self.enforced_address:
            self.default_address = str(self.enforced_address.value)

    def address(self, text: str) -> str:
        """The address, if it is one, and the one that the administrator enforces, if any."""
        address = check_address(text, insecure_http=self.insecure_http, remedy="--insecure-http")
        if self.enforced_address and address != check_address(self.default_address, insecure_http=True):
            raise UsageError(f"The address must be {self.default_address}: {self.enforced_address.origin}")
        return address

    def key_for(self, address: str) -> Callable[[str], Credential | None]:
        """Checks a key; a platform in this process needs none."""

        def check(text: str) -> Credential | None:
            if not text and not address.startswith("http"):
                return None
            return classify(text, ASKED)

        return check

    def ca_cert(self, text: str) -> str | None:
        """The CA file's absolute path, or None for no file."""
        if self.enforced_ca:
            return None
        return check_ca_file(text, "the answer") if text else None

    def from_options(self, address: str | None, key: str, ca_cert: str | None) -> Profile:
        """A profile from the command line alone."""
        checked = self.address(address or self.default_address)
        credential = self.key_for(checked)(key)
        return self.profile(checked, credential, self.ca_cert(ca_cert or ""))

    def profile(self, address: str, credential: Credential | None, ca_cert: str | None) -> Profile:
        """The profile that these answers make."""
        return Profile(
            name=self.name,
            address=address,
            credential=credential,
            ca_cert=ca_cert or (str(self.enforced_ca.value) if self.enforced_ca else None),
            ca_cert_origin=ASKED,
            origin=ASKED,
            insecure_http=self.insecure_http,
            address_origin=ASKED,
        )


def _asked(
    app: App, questions: _Questions, api_address: str | None, ca_cert: str | None, no_test: bool
) -> tuple[Profile, str | None]:
    """Ask for what the options lack until the platform accepts it; on a pipe, the first error ends the command."""
    prompter = Prompter(app.output)
    profile: Profile | None = None
    while True:
        if profile is None:
            default = questions.default_address
            address = (
                questions.address(api_address)
                if api_address
                else prompter.ask(f"enter API address [{default}]", questions.address, default=default)
            )
            profile = questions.profile(address, None, None)
            credential = prompter.ask("enter API key", questions.key_for(address), hidden=True)
            chosen_ca = (
                questions.ca_cert(ca_cert)
                if ca_cert
                else prompter.ask("(optional) enter path to custom CA certificate", questions.ca_cert)
            )
            profile = questions.profile(address, credential, chosen_ca)
        else:
            credential = prompter.ask("enter API key", questions.key_for(profile.address), hidden=True)
            profile = profile._replace(credential=credential)
        if no_test:
            return profile, None
        try:
            return profile, _account(app, profile)
        except AlgoError as error:
            if not prompter.is_terminal:
                raise
            app.output.error(error.message)
            if not isinstance(error, AuthError):
                if error.hint:
                    app.output.hint(error.hint)
                if api_address and ca_cert:
                    raise
                api_address, profile = None, None


def _account(app: App, profile: Profile) -> str:
    from algo_core.http.api import ApiClient

    with app.open_client(profile) as client:
        return ApiClient(client).username()


def _what_goes_before(app: App, saved: Profile) -> list[str]:
    """Warnings about variables and flags that override the saved profile."""
    later = ProfileResolver(Config.load(app.environ), app.profiles.stand_in, app.profiles.other_credential)
    try:
        used = later.resolve(app.profile_flag)
    except AlgoError as error:
        return [f"The profile is saved, but cannot be used yet: {error.message}"]
    found = []
    if (credential := used.credential) and credential.origin.startswith(FROM_ENVIRONMENT):
        found.append(_ambient(credential.origin, "the key that was saved", saved.name))
    if used.address_origin.startswith(FROM_ENVIRONMENT):
        found.append(_ambient(used.address_origin, f"the address that was saved ({used.address})", saved.name))
    if used.ca_cert != saved.ca_cert and used.ca_cert_origin:
        found.append(f"The CA certificate is {used.ca_cert}: {used.ca_cert_origin}")
    return found


def _ambient(origin: str, what: str, name: str) -> str:
    variable = origin.removeprefix(FROM_ENVIRONMENT)
    return f"{variable} in the environment overrides {what}: `unset {variable}`, or give --profile {name}"


def _save(app: App, profile: Profile, *, keyring: bool) -> None:
    credential = profile.credential
    if keyring and credential:
        store_in_keyring(profile.name, credential)
    members: dict[str, str | bool | None] = {
        "address": profile.address,
        "api_key": None,
        "bearer_token": None,
        "credential_command": None,
        "keyring": True if keyring and credential else None,
        "ca_cert": profile.ca_cert if not app.config.enforced("ca_cert") else None,
        "insecure_http": True if profile.insecure_http and profile.address.startswith("http:") else None,
    }
    if credential and not keyring:
        members[credential.kind] = credential.secret.reveal()
    with editing(app.config.user_file) as document:
        table = table_at(document, "profiles", profile.name)
        for member, value in members.items():
            if value is not None:
                table[member] = value
            elif member in table:
                del table[member]
