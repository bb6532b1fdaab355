"""The hooks: every way in which a plugin can take part.

A plugin is a module that an installed distribution names in the entry-point group `algo.plugins`. It implements any of
the functions below, each marked with `hookimpl`:

    from algo_core import Command, hookimpl


    @hookimpl
    def algo_commands():
        return [Command("greet", "acme.commands:greet", help="Greet somebody.", group="Acme")]

The module is loaded once after an install, in a process of its own, to learn what it has, and afterwards only when
one of its hooks is called or one of its commands runs: import nothing heavy in it. A module that ends its process
while it is loaded is named and left out. An implementation may leave out arguments that it does not need, and take
them by position or by name, with or without a default. Async functions, generators, wrappers, methods of a class, and
names of hooks or arguments that do not exist are faults: the plugin is broken until they are corrected, and `algo
plugins show` says why.

Every hook may take `app`, since hook API 1.1: the running `algo_core.App`, with the members that are usable at that
moment. Each hook lists them below; any other raises PluginError, which says why. An implementation with `**given` gets
it only if it names it as well, since older ones do not expect it there.

Whatever an implementation raises, `SystemExit` included, is reported once with the distribution's name and version,
and the others go on; only Ctrl-C ends the command. What a hook returned (a storage, a transport) ends the command as a
failure of the plugin (exit code 8) where it exits or lets an error of the system pass. `hookimpl(tryfirst=True)` and
`hookimpl(trylast=True)` say who is asked first.

A plugin may state which hook API it needs (`ALGO_API = ">=1,<2"` in its module); one that needs another is left out,
and `algo plugins list` says why. Hooks grow by further arguments, which older implementations do not notice. A
deprecated argument is named in `hook(deprecated={"old": "use new"})`: implementations that still take it work as
before, and `algo plugins show`, `algo doctor` and `algo_core.testing.assert_plugin_well_formed` tell their authors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pluggy

from algo_core.plugins import results
from algo_core.plugins.access import ALL, ASKING, PROFILE, REMARKS, SETTINGS, Access

if TYPE_CHECKING:
    import requests

    from algo_core import App
    from algo_core.errors import AlgoError
    from algo_core.events import Event
    from algo_core.http.transport import Request, Transport
    from algo_core.plugins.types import (
        Command,
        Connector,
        DirectoryRun,
        DoctorCheck,
        ExecutorFactory,
        Service,
        Variable,
    )
    from algo_core.settings.credentials import Credential
    from algo_core.settings.declared import PluginSetting
    from algo_core.settings.profile import Profile

PROJECT = "algo"

hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin module as the implementation of the hook that has its name."""

Specification = TypeVar("Specification", bound=Callable[..., Any])


class Hook(NamedTuple):
    """A hook: its specification, what may be answered, and what becomes of the answers.

    `check` refuses an answer that cannot be used. With `first` the first one that is not None counts, else all do.
    `kept_as` is the member of the index in which answers are kept, so that nobody is asked again; `since` the hook API,
    major and minor, that brought the hook. `app` says what it may use of the running `App`.
    """

    specification: Callable[..., Any]
    check: results.Check
    first: bool
    kept_as: str
    since: tuple[int, int]
    app: Access


HOOKS: dict[str, Hook] = {}
"""The table of hooks, by name. All that loads, guards, keeps, checks and documents hooks goes by it."""


def hook(
    *,
    answers: results.Check,
    app: Access,
    first: bool = False,
    kept_as: str = "",
    since: tuple[int, int] = (1, 0),
    deprecated: Mapping[str, str] | None = None,
) -> Callable[[Specification], Specification]:
    """Enter a specification into the table; `deprecated` says what to take in the place of arguments that are to go."""

    def enter(specification: Specification) -> Specification:
        HOOKS[specification.__name__] = Hook(specification, answers, first, kept_as, since, app)
        advice: dict[str, Warning] = {name: DeprecationWarning(text) for name, text in (deprecated or {}).items()}
        mark = pluggy.HookspecMarker(PROJECT)
        return mark(specification, firstresult=first, warn_on_impl_args=advice or None)

    return enter


KEPT = Access(REMARKS, "the answer is kept for later runs, whatever their options and settings")
"""Access of hooks whose answers are kept in the index."""

SENDING = Access(SETTINGS, "a request to the platform waits for this hook")
"""Access of hooks that take part in each request."""


@hook(answers=results.a_list_of("algo_core.plugins.types:Command"), kept_as="commands", app=KEPT)
def algo_commands(app: App) -> list[Command]:  # type: ignore[empty-body]  # a specification has no body
    """Subcommands that this plugin adds.

    When: after an install or a change of the plugin's files. The answer is kept in the index, so that `algo --help` and
    completion need no plugin; what a command's target names is imported when the command runs.

    Failures: whatever is raised, or an answer that is no list of `Command`, marks the plugin as broken: its commands
    stay in the help with a mark, and running one says why (exit code 8). A name that is built in is not given away, and
    one that two plugins claim goes to neither until somebody chooses.

        from algo_core import Command, hookimpl


        @hookimpl
        def algo_commands():
            return [Command("greet", "acme.commands:greet", help="Greet somebody.", group="Acme")]
    """


@hook(answers=results.a_list_of("algo_core.plugins.types:Connector"), kept_as="connectors", app=KEPT)
def algo_connectors(app: App) -> list[Connector]:  # type: ignore[empty-body]  # a specification has no body
    """URI schemes that this plugin opens as a storage, for whatever reads and writes data.

    When: with `algo_commands`, and kept in the index as well. The target is a function that takes the running `App` and
    the `DataUri`, and returns an `algo_core.storage.Storage`; it is called once for each scheme that a command meets.

    Failures: as those of `algo_commands`. A scheme that two plugins claim is a usage error that names both, when a URI
    with it is used. `data` and `file` are reserved.

        from algo_core import Connector, hookimpl


        @hookimpl
        def algo_connectors():
            return [Connector("acme", "acme.archive:open_archive", help="Files of the Acme archive.")]
    """


@hook(answers=results.a_list_of("algo_core.plugins.types:ExecutorFactory"), kept_as="executors", since=(1, 1), app=KEPT)
def algo_executors(app: App) -> list[ExecutorFactory]:  # type: ignore[empty-body]  # a specification has no body
    """Executors of this plugin, which run the algorithms of a served platform.

    When: with `algo_commands`, and kept in the index as well. The target is called when the platform starts to serve,
    if it was chosen with `--engine NAME`; the executor is started before the platform takes requests.

    Failures: as those of `algo_commands`. A name that two plugins have is a usage error that names both, when it is
    chosen.

        from algo_core import ExecutorFactory, hookimpl


        @hookimpl
        def algo_executors():
            return [ExecutorFactory("acme", "acme.cluster:open_executor", help="Run algorithms on Acme's cluster.")]
    """


@hook(
    answers=results.profile,
    first=True,
    app=Access(SETTINGS, "the profile is not known yet"),
)
def algo_default_profile(name: str, app: App) -> Profile | None:
    """A profile for a name without a configured one: a company's preset, else the embedded platform.

    When: a command needs the profile `name`, and neither the configuration nor the environment has it. One plugin may
    answer; `hookimpl(trylast=True)` leaves others the first word, `hookimpl(tryfirst=True)` takes it.

    Failures: reported; the next plugin is asked. Two plugins that answer differently without `trylast` are an error
    that names both (exit code 3), since it would be unclear whose platform gets the key.

        from algo_core import Profile, hookimpl


        @hookimpl
        def algo_default_profile(name):
            if name == "default":
                return Profile(name, "https://api.acme.example", origin="acme-algo")
    """


@hook(
    answers=results.credential,
    first=True,
    app=Access(ASKING, "the credential for the platform is not known yet"),
)
def algo_credentials(profile: Profile, refused: Credential | None, app: App) -> Credential | None:
    """A credential for a profile that has none of its own: from a vault, a ticket, a company's login.

    When: once per command that needs a profile, after the environment and the profile were looked at. The first answer
    that is not None counts. It is called again when the platform does not accept that credential any more, or when its
    `expires_at` (seconds since 1970) is less than a minute away, or the last quarter of a shorter life has begun:
    `refused` is the old one then, and None before. All requests of the command wait for the new one, and those that
    were refused are sent again with it. Without a new one, the old one is used until the platform refuses it.

    Failures: reported; the next plugin is asked, and without any answer the request goes out without a credential.

        from algo_core import hookimpl


        @hookimpl
        def algo_credentials(profile, app):
            ticket = app.environ.get("ACME_TICKET")
            if ticket and profile.address.endswith(".acme.example"):
                from algo_core.settings.credentials import classify

                return classify(ticket, origin="the Acme ticket")
    """


@hook(answers=results.headers, since=(1, 1), app=SENDING)
def algo_request_headers(profile: Profile, app: App) -> Mapping[str, str] | None:
    """Headers that every request of a profile carries.

    When: once per command that sends a request, with the profile that it is for. The headers of all plugins are sent,
    to the profile's own host only, whatever transport carries the request; one that `algo` sends itself is replaced.
    What belongs to the connection (`Host`, `Content-Length` and their like) cannot be set.

    Failures: reported, also a name or a value that no header can carry; the request goes out without them.

        from algo_core import hookimpl


        @hookimpl
        def algo_request_headers(profile):
            return {"X-Cost-Centre": "4711"}
    """


@hook(answers=results.headers, since=(1, 1), app=SENDING)
def algo_sign(request: Request, profile: Profile, app: App) -> Mapping[str, str] | None:
    """Headers for one request, such as a signature over it.

    When: each time that a request is sent to the profile's host, retries and renewed credentials included. `request`
    has `method`, `url`, `headers` and `body`: None, or an object with its `size` in bytes, and `data` if it is in
    memory (what is streamed, such as a large file, must not be read here). The headers of all plugins are added; one
    that the request has already is replaced.

    Small files are sent one after the other on each connection where requests are signed, without helper processes: a
    copy of thousands takes several times as long. Headers that are the same for all come from `algo_request_headers`.

    Failures: reported once; the request goes out without those headers.

        import hashlib
        import hmac
        import time

        from algo_core import hookimpl

        SECRET = b"a secret that Acme shares with its platform"


        @hookimpl
        def algo_sign(request):
            now = str(int(time.time()))
            content = getattr(request.body, "data", b"") or b""
            signed = "|".join([request.method, request.url, now, hashlib.sha256(content).hexdigest()])
            return {"X-Time": now, "X-Signature": hmac.new(SECRET, signed.encode(), "sha256").hexdigest()}
    """


@hook(answers=results.transport, first=True, since=(1, 1), app=SENDING)
def algo_transport(profile: Profile, app: App) -> Transport | None:
    """What carries the requests of a profile, in the place of HTTP: how the embedded platform is reached.

    When: once per command that sends a request, with the profile that it is for. The first answer that is not None
    counts. The object has the methods of `algo_core.http.transport.Transport`: `send` gives the response to one
    request, `close` ends it. Credentials, retries and redirects are taken care of by `algo`. Addresses that are no HTTP
    look like `acme:`, a word and a colon. A plugin that names the addresses which its transport carries, or how they
    begin, is not loaded for others: `ALGO_ADDRESSES = ("acme:",)` in its module.

    Failures: reported; the next plugin is asked, and in the end the request goes out by HTTP. What `send` raises ends
    the request: `NetworkError` is tried again where that does nothing twice.

        import io

        from algo_core import hookimpl

        ALGO_ADDRESSES = ("acme:",)


        class Demonstration:
            def send(self, request):
                from algo_core.http.response import StreamResponse

                folders = b'{"folders": [{"name": "demo"}], "files": []}'
                return StreamResponse(request.url, 200, {"X-Data-Type": "directory"}, io.BytesIO(folders))

            def close(self):
                pass


        @hookimpl
        def algo_transport(profile):
            if profile.address == "acme:":
                return Demonstration()
    """


@hook(answers=results.transport, first=True, since=(1, 2), app=SENDING)
def algo_directory(run: DirectoryRun, app: App) -> Transport | None:
    """What runs the algorithm in a directory of this machine as it stands: how a call of `./DIR` is answered.

    When: once per command that is given a directory in the place of an algorithm's name. `run` has its path and what it
    is run with. The transport of the first answer that is not None receives the calls of the command as
    `POST /v1/algo/...` and answers each as a platform would; when the first one arrives, it builds what the directory
    needs.

    Failures: reported; the next plugin is asked. What `send` raises ends the command: say there what is wrong with the
    directory, as an `AlgoError`.

        import io
        import json

        from algo_core import hookimpl


        class Demonstration:
            def __init__(self, directory):
                self.directory = directory

            def send(self, request):
                from algo_core.http.response import StreamResponse

                answer = {"result": f"{self.directory} at your service", "metadata": {"content_type": "text"}}
                return StreamResponse(request.url, 200, {}, io.BytesIO(json.dumps(answer).encode()))

            def close(self):
                pass


        @hookimpl(tryfirst=True)
        def algo_directory(run):
            return Demonstration(run.directory)
    """


@hook(answers=results.nothing, app=SENDING)
def algo_configure_session(session: requests.Session, profile: Profile, app: App) -> None:
    """Change the session with which requests sends: mount adapters, add headers, set `auth`.

    When: once per command that sends a request, with the profile that it is for. Secrets belong into `session.auth`.
    Neither that nor the session's headers go to another host than the profile's.

    An implementation brings requests into every command that sends a request, which doubles the time of a short one.
    For headers alone implement `algo_request_headers`, for another transport `algo_transport`. A session that has more
    than headers changed sends every request itself, several times slower than `algo` would.

    Failures: reported; the session is used as it is then.

        from algo_core import hookimpl


        @hookimpl
        def algo_configure_session(session, profile):
            proxy = "http://proxy.acme.example:3128"
            session.proxies.update(http=proxy, https=proxy)
    """


@hook(
    answers=results.at_most_one("builtins:str"),
    app=Access(PROFILE, "the command has failed, and its error is about to be shown"),
)
def algo_error_hints(error: AlgoError, app: App) -> str | None:
    """One more line of advice under an error that is about to be shown.

    When: once, when a command has failed. `error` has `message`, `hint` and `exit_code`; None adds nothing.
    Look at the exit code first: where the command had not needed its profile, `app.profile` resolves it now, which may
    ask for a credential, and raises ConfigError if there is none.

    Failures: reported; the error is shown all the same.

        from algo_core import ExitCode, hookimpl


        @hookimpl
        def algo_error_hints(error):
            if error.exit_code == ExitCode.AUTHENTICATION:
                return "Keys are given out by helpdesk@acme.example"
    """


@hook(answers=results.settings, kept_as="settings", since=(1, 1), app=KEPT)
def algo_settings(app: App) -> list[PluginSetting]:  # type: ignore[empty-body]  # a specification has no body
    """Settings of this plugin, which `algo config` lists, sets and checks like the core's own.

    When: with `algo_commands`, and kept in the index as well. A value comes from the environment variable, the profile,
    the person's file, the administrator's files (with `[enforce]`) or the default; `app.setting("acme.queue").value`
    reads it, typed, and its `origin` says where it came from.

    Failures: as those of `algo_commands`; so is a name without a table, or one of a table that the core has. Where two
    plugins declare one setting differently, that of the first counts, and a warning names both.

        from algo_core import PluginSetting, hookimpl


        @hookimpl
        def algo_settings():
            return [
                PluginSetting("acme.queue", "queue that jobs go to", default="short", words="short long"),
                PluginSetting("acme.patience", "seconds to wait for a place", kind="seconds", default="30"),
            ]
    """


@hook(answers=results.a_list_of("algo_core.plugins.types:Service"), kept_as="services", since=(1, 1), app=KEPT)
def algo_services(app: App) -> list[Service]:  # type: ignore[empty-body]  # a specification has no body
    """Functions that this plugin gives to all others, behind `app.copy` and `app.run_algorithm`.

    When: with `algo_commands`, and kept in the index as well. A plugin that calls `app.copy` gets this function,
    whichever distribution it is from: `algo-data` and `algo-run` bring those of `algo`. A function takes the running
    `App` and the arguments of the call, and returns and raises what the call documents.

    Failures: as those of `algo_commands`. A service that two plugins give is an error that names both (exit code 8),
    when it is called.

        from algo_core import Service, hookimpl


        @hookimpl
        def algo_services():
            return [Service("copy", "acme.transfer:copy")]
    """


@hook(
    answers=results.a_list_of("algo_core.plugins.types:Variable"),
    since=(1, 1),
    app=Access(SETTINGS, "`algo help` needs no profile"),
)
def algo_variables(app: App) -> list[Variable]:  # type: ignore[empty-body]  # a specification has no body
    """Environment variables that this plugin reads.

    When: by `algo help variables`, which lists them, and by `algo doctor`, which names variables that are spelled
    almost like one of them.

    Failures: reported; the others are listed.

        from algo_core import Variable, hookimpl


        @hookimpl
        def algo_variables():
            return [Variable("ACME_TICKET", "ticket for the Acme archive")]
    """


@hook(
    answers=results.nothing,
    since=(1, 1),
    app=Access(SETTINGS, "observers run in a thread of their own, beside the command"),
)
def algo_observe(event: Event, app: App) -> None:
    """Observe what a command does, for an audit log, metrics or traces.

    When: soon after each event, in a thread of its own, one after the other: a command began or ended, a request was
    answered or failed, a file was transferred or could not be. `event` is one of the classes below; it holds no
    credential, no query and no content. Requests of helper processes and of all transports are included.

    Failures: reported once, and the command goes on. Observers cannot slow it: events wait in a queue, those that do
    not fit are dropped with a warning, and at the end of a command observers have 5 seconds for what still waits. What
    they print goes to standard error.

        import json
        import os

        from algo_core import hookimpl

        LOG = os.path.expanduser("~/acme-audit.jsonl")


        @hookimpl
        def algo_observe(event):
            with open(LOG, "a") as log:
                print(json.dumps({"event": type(event).__name__, **event._asdict()}), file=log)
    """


@hook(answers=results.a_list_of("algo_core.plugins.types:DoctorCheck"), app=Access(ALL))
def algo_doctor_checks(app: App) -> list[DoctorCheck]:  # type: ignore[empty-body]  # a specification has no body
    """Checks that `algo doctor` runs besides its own.

    When: by `algo doctor` only. A check's `run` returns whether all is well, and one line that says what was found.

    Failures: those of the hook are reported; a check that raises has failed, with the cause as its line.

        import os

        from algo_core import DoctorCheck, hookimpl


        def has_ticket():
            found = "ACME_TICKET" in os.environ
            return found, "you have a ticket" if found else "get a ticket with: acme login"


        @hookimpl
        def algo_doctor_checks():
            return [DoctorCheck("acme ticket", has_ticket)]
    """


HOOK_API = max(hook.since for hook in HOOKS.values())
"""The version of the hook API, major and minor: what a plugin's `ALGO_API` is compared with."""
