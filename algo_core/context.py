"""`App`: the state and services of a running command. Each part is created on first use."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from algo_core.errors import ExitCode, is_reportable
from algo_core.plugins.manager import Plugins
from algo_core.plugins.policy import Policy
from algo_core.settings import paths
from algo_core.terminal.output import Output

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from algo_core.bridge.client import Bridge
    from algo_core.errors import AlgoError, ConfigError
    from algo_core.http.api import ApiClient
    from algo_core.http.client import HttpClient
    from algo_core.http.requests_transport import AlgoSession
    from algo_core.http.transport import Request
    from algo_core.observers import Observers
    from algo_core.outcomes import AlgorithmResult, CopySummary
    from algo_core.plugins.index import PluginRecord
    from algo_core.plugins.types import DirectoryRun
    from algo_core.settings.config import Config, Setting, Value
    from algo_core.settings.credentials import Credential
    from algo_core.settings.profile import Profile
    from algo_core.settings.profiles import ProfileResolver
    from algo_core.storage.contract import Storage
    from algo_core.storage.uri import AlgorithmRef, DataUri
    from algo_core.terminal.prompts import Questions

    PathLike = str | os.PathLike[str] | DataUri


MAY_BE_BROKEN = frozenset({ExitCode.CONFIGURATION, ExitCode.AUTHENTICATION, ExitCode.NETWORK})
"""Exit codes of failures that a skipped plugin may have caused: configuration, authentication, network."""


class App:
    """One run of `algo`: flags, configuration, plugins, profile, session, API client, output.

    The attributes `profile_flag`, `verbose`, `debug`, `no_plugins` and `no_plugin` are the global options.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.environ = environ
        self.output = Output(environ=environ)
        self.profile_flag: str | None = None
        self.verbose = False
        self.debug = False
        self.no_plugins = False
        self.no_plugin: tuple[str, ...] = ()
        self.policy_error: ConfigError | None = None
        self.bridge: Bridge | None = None
        self.so_far = ""
        """What an interrupted command had done, for its final message."""
        self._begun: tuple[str, float] | None = None

    @classmethod
    def for_completion(cls, ctx: click.Context) -> App:
        """An `App` for TAB completion: with the options typed so far, silent, with short timeouts. Close it, with
        `contextlib.closing`.

        A request times out after two seconds and is not retried: a person is waiting.
        """
        typed = ctx.find_object(cls) or cls()
        app = cls({**typed.environ, "ALGO_CONNECT_TIMEOUT": "2", "ALGO_TIMEOUT": "2", "ALGO_RETRIES": "0"})
        app.profile_flag, app.no_plugins, app.no_plugin = typed.profile_flag, typed.no_plugins, typed.no_plugin
        app.output.quiet = True
        return app

    @functools.cached_property
    def config(self) -> Config:
        """The configuration. Raises ConfigError if a file cannot be read."""
        from algo_core.settings.config import Config

        config = Config.load(self.environ)
        config.find_declared = self._declared_settings
        return config

    def _declared_settings(self) -> dict[str, Setting]:
        from algo_core.settings.declared import declared

        records = [record for record in self.plugins.allowed if not record.error]
        first: dict[str, tuple[PluginRecord, tuple[str, ...]]] = {}
        for record in records:
            for name, _, *rest in record.settings:
                other, before = first.setdefault(name, (record, tuple(rest)))
                if before != tuple(rest):
                    self._warn(
                        f"{other.label} and {record.label} declare the setting {name} differently; "
                        f"that of {other.dist} counts; leave one out with: algo plugins disable {record.dist}"
                    )
        return declared(row for record in records for row in record.settings)

    @functools.cached_property
    def plugins(self) -> Plugins:
        """The installed plugins that the policy allows."""
        return Plugins(paths.cache_dir(self.environ), self._policy(), self._warn, self._missing, lambda: self)

    def _missing(self) -> list[str]:
        """Distributions that are recorded as installed but missing."""
        from algo_core.plugins.recorded import missing

        return missing(self.config) if self.config.user else []

    def _warn(self, text: str) -> None:
        """Report a plugin that does not work, except during completion."""
        from algo_core.terminal.completion import COMPLETE_VARIABLE

        if not self.environ.get(COMPLETE_VARIABLE):
            self.output.warn(text)

    def _policy(self) -> Policy:
        from algo_core.errors import ConfigError

        try:
            return Policy.read(self.config, no_plugins=self.no_plugins, no_plugin=self.no_plugin)
        except ConfigError as error:
            self.policy_error = error
            return Policy(none_at_all=f"left out: {error.message}", is_closed=True)

    def check(self) -> None:
        """Refuse to run a plugin's command, or to use a profile, while the configuration has faults.

        Raises:
            ConfigError: with the first fault. The core's own commands still run, to repair it.
        """
        if self.policy_error:
            raise self.policy_error
        if not self.config.is_empty:
            from algo_core.settings.repair import check

            check(self.config)

    @functools.cached_property
    def profiles(self) -> ProfileResolver:
        """Finds profiles by name."""
        from algo_core.settings.profiles import ProfileResolver

        return ProfileResolver(
            self.config,
            stand_in=self._stand_in,
            other_credential=self._other_credential,
        )

    def _stand_in(self, name: str) -> Profile | None:
        found = self.bridge.profile(name) if self.bridge else None
        return found or self.plugins.only("algo_default_profile", name=name)

    def _other_credential(self, profile: Profile, refused: Credential | None) -> Credential | None:
        found = self.bridge.credential(profile, refused) if self.bridge else None
        return found or self.plugins.first("algo_credentials", profile=profile, refused=refused)

    @functools.cached_property
    def profile(self) -> Profile:
        """The profile in use. Raises ConfigError if there is none, or it is wrong."""
        profile = self.profiles.resolve(self.profile_flag)
        if profile.notice:
            self.output.info(profile.notice)
        return profile

    @functools.cached_property
    def http(self) -> HttpClient:
        """The HTTP client for the profile in use."""
        return self.open_client(self.profile)

    def open_client(self, profile: Profile) -> HttpClient:
        """An HTTP client for any profile, with the time limits of the configuration.

        Raises:
            ConfigError: if the CA file is wrong.
        """
        from algo_core.http.client import Hooks, HttpClient

        configures = self.plugins.implement("algo_configure_session")
        hooks = Hooks(
            transport=lambda profile: self.plugins.first("algo_transport", address=profile.address, profile=profile),
            headers=lambda profile: self.plugins.call("algo_request_headers", profile=profile),
            configure=self._configure_session if configures else None,
            sign=self._sign if self.plugins.implement("algo_sign") else None,
            renew=self.profiles.renewed,
        )
        longer = functools.partial(self._longer, profile.name)
        client = HttpClient(profile, hooks=hooks, longer=longer, **self._http_options(profile))
        if observers := self.observers:
            client.observe = observers.put
        return client

    def open_directory(self, run: DirectoryRun) -> ApiClient:
        """An API client whose calls the algorithm in a directory answers, whatever they name; close its `client`.

        Raises:
            ConfigError: if no plugin runs directories.
        """
        from algo_core.errors import ConfigError
        from algo_core.http.api import ApiClient
        from algo_core.http.client import Hooks, HttpClient
        from algo_core.settings.profile import Profile

        transport = self.plugins.first("algo_directory", run=run)
        if transport is None:
            raise ConfigError(
                f"No installed plugin runs the algorithm in a directory, such as {run.directory}",
                f"Get one with: {self.plugins.to_install('algo-local')}",
            )
        profile = Profile(run.directory, "directory:", origin="the command line")
        limits = self.setting("connect_timeout").value, self.setting("timeout").value
        return ApiClient(
            HttpClient(profile, timeout=limits, retries=0, hooks=Hooks(transport=lambda profile: transport))
        )

    def _sign(self, request: Request, profile: Profile) -> list[Mapping[str, str]]:
        found = self.plugins.call("algo_sign", request=request, profile=profile)
        return [headers for headers in found if headers]

    def _longer(self, profile: str, connects: bool) -> str:
        """The advice for allowing more time for a connection, or for a response."""
        key = "connect_timeout" if connects else "timeout"
        value = self.setting(key, profile)
        more = f"{2 * value.value:g}"
        told = f"allow more than {value.value:g} s ({key} from {value.origin})"
        if value.enforced:
            return f"ask your administrator to {told}"
        if value.is_ambient:
            return f"{told}: `export {value.variable}={more}`"
        is_own = value.origin.startswith("profile ")
        return f"{told}: `algo config set {f'profiles.{profile}.' if is_own else ''}{key} {more}`"

    @functools.cached_property
    def session(self) -> AlgoSession:
        """A requests session for the current profile, for plugins."""
        return self.open_session(self.profile)

    def setting(self, key: str, profile: str | None = None) -> Value:
        """The effective value of a setting for a profile (default: the current one).

        Raises:
            ConfigError: if its value is wrong; the message names its origin.
        """
        name = profile or str(self.config.get("profile", flag=self.profile_flag).value)
        table, origin = self.profiles.table(name) or ({}, "")
        return self.config.get(key, profile=table, origin=f"profile {name} in {origin}")

    def open_session(self, profile: Profile) -> AlgoSession:
        """A requests session for any profile, configured by plugins. Imports requests, which is slow.

        Raises:
            ConfigError: if the CA file is wrong.
        """
        from algo_core.http.requests_transport import AlgoSession

        session = AlgoSession(profile, **self._http_options(profile))
        self._configure_session(session, profile)
        return session

    def _configure_session(self, session: AlgoSession, profile: Profile) -> None:
        self.plugins.call("algo_configure_session", session=session, profile=profile)

    def _http_options(self, profile: Profile) -> dict[str, Any]:
        from algo_core.settings.profiles import check_ca_file

        if profile.ca_cert:
            check_ca_file(profile.ca_cert, profile.ca_cert_origin or profile.origin)
        if profile.network.proxy_ca_cert:
            check_ca_file(profile.network.proxy_ca_cert, profile.network.origin("proxy_ca_cert"))
        setting = functools.partial(self.setting, profile=profile.name)
        return {
            "timeout": (setting("connect_timeout").value, setting("timeout").value),
            "retries": setting("retries").value,
            "on_exchange": self._report_exchange if self.verbose else None,
        }

    def _report_exchange(self, method: str, url: str, status: int | None, seconds: float) -> None:
        if self.output.is_json:
            self.output.tell(request={"method": method, "url": url, "status": status, "seconds": round(seconds, 4)})
            return
        self.output.log(f"{method} {url} -> {status or 'no answer'} ({seconds * 1000:.0f} ms)")

    @functools.cached_property
    def api(self) -> ApiClient:
        """The API client for the profile in use."""
        from algo_core.http.api import ApiClient

        return ApiClient(self.http)

    def storage(self, uri: DataUri) -> Storage:
        """The storage of a URI; the same object for all URIs of a connector.

        Raises:
            UsageError: if no installed plugin handles the scheme.
        """
        if uri.connector not in self._storages:
            self._storages[uri.connector] = self._opened(uri)
        return self._storages[uri.connector]

    def _opened(self, uri: DataUri) -> Storage:
        from algo_core.storage.registry import is_claimed, open_storage

        if not is_claimed(self, uri):
            from algo_core.bridge.launch import storage_elsewhere

            if found := storage_elsewhere(self, uri):
                return found
        return open_storage(self, uri)

    @functools.cached_property
    def _storages(self) -> dict[str, Storage]:
        return {}

    def run_algorithm(
        self,
        algorithm: str | AlgorithmRef,
        input: Any,
        *,
        timeout: int | None = None,
        with_stdout: bool = False,
        sudo: bool = False,
    ) -> AlgorithmResult:
        """Call an algorithm once and wait for its result.

        `algorithm` is `OWNER/NAME`, `OWNER/NAME/VERSION` or `.my/NAME`. `input` of type str is sent as text, of type
        bytes as bytes, and anything else as JSON. `timeout` is the algorithm's time limit in seconds (default: 300, at
        most 3000); `with_stdout` asks for what it prints, `sudo` calls it as its owner. Several threads may call.

            result = app.run_algorithm("nlp/LDA/1.0.0", {"docsList": ["apples", "ripe apples"]})
            app.output.json(result.value)

        Raises:
            AlgorithmFailed: if the algorithm ran and failed; it carries `error_type` and `stacktrace`.
            UsageError: if it is no reference, or the input is no JSON or larger than 7.5 MiB; nothing was sent.
            NotFoundError, AuthError, RequestRefused, PlatformError, NetworkError: as `ApiClient.request` does.
            PluginError: if algo-run is not installed, or does not take part.
        """
        call = self._service("run_algorithm")
        result: AlgorithmResult = call(self, algorithm, input, timeout=timeout, with_stdout=with_stdout, sudo=sudo)
        return result

    def copy(
        self,
        source: PathLike | Sequence[PathLike],
        destination: PathLike,
        *,
        recursive: bool = False,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        replace: Literal["always", "older", "never"] = "always",
        dry_run: bool = False,
        max_transfers: int | None = None,
        check: bool = True,
    ) -> CopySummary:
        """Copy files and directories with the engine of algo-data: many at once, each whole or not at all.

        Paths are written as on the command line, wildcards included: `data://.my/...`, `.my/...`, `s3://...`, else a
        local path. `replace` says which existing files are replaced: "always", those "older" than their source, or
        "never". With `dry_run` nothing is copied, and the summary says what would be. `max_transfers` limits the
        concurrent transfers, by default as many as pay; without `check` sizes are compared, not checksums. A terminal
        shows the progress; nothing is written to stdout.

            summary = app.copy(["./a.csv", "./b.csv"], "data://.my/reports")
            app.output.info(f"{summary.copied} files, {summary.bytes} bytes")

        Raises:
            CopyFailed: if some of several files could not be copied, after the others were.
            AlgoError: NotFoundError and its kin, if the only file could not be, or none could.
            UsageError: if a path is invalid, or no plugin opens its scheme; nothing was copied.
            PluginError: if algo-data is not installed, or does not take part.
        """
        carry_out = self._service("copy")
        summary: CopySummary = carry_out(
            self,
            source,
            destination,
            recursive=recursive,
            include=include,
            exclude=exclude,
            replace=replace,
            dry_run=dry_run,
            max_transfers=max_transfers,
            check=check,
        )
        return summary

    @functools.cached_property
    def ask(self) -> Questions:
        """Asks the person at the terminal: `app.ask("Project")`, `app.ask.secret`, `app.ask.choice`, `app.ask.confirm`.

        Without a person each raises UsageError, whose hint names what gives the answer instead.
        """
        from algo_core.terminal.prompts import Questions

        return Questions(self.output, self.environ)

    def _service(self, name: str) -> Any:
        from algo_core.plugins.services import service

        return service(self.plugins, name)

    def report(self, error: AlgoError) -> int:
        """Report an error with the plugins' advice (hook `algo_error_hints`); return its exit code.

        An exit code that is none for a failure is reported as a PluginError instead.
        """
        if not is_reportable(error):
            error = self.plugins.checked(error)
        more = [hint for hint in self._further_hints(error) if isinstance(hint, str) and hint]
        hints = [hint for hint in (error.hint, *more) if hint]
        if self.debug:
            import traceback

            details = getattr(error, "details", None) or traceback.format_exc()
            if self.output.is_json:
                self.output.tell(traceback=details)
            else:
                self.output.log(details.rstrip("\n"))
        if self.output.is_json:
            described = error.as_dict()
            if hints:
                described["error"]["hint"] = "\n".join(hints)
            self.output.tell(**described)
        else:
            self.output.error(error.message)
            for hint in hints:
                self.output.hint(hint)
        return error.exit_code

    def _further_hints(self, error: AlgoError) -> list[object]:
        try:
            broken = (
                [record for record in self.plugins.allowed if record.error] if error.exit_code in MAY_BE_BROKEN else []
            )
            return [*self.plugins.call("algo_error_hints", error=error), *map(_broken, broken)]
        except Exception:  # advice must never hide the error itself
            return []

    def begin(self, command: str) -> None:
        """A command's options are read, and it begins."""
        self._begun = (command, time.monotonic())
        if observers := self.observers:
            from algo_core.events import CommandStarted

            observers.put(CommandStarted(command, time.time()))

    def end(self, exit_code: int) -> None:
        """The command, if one has begun, has ended with this exit code."""
        if self._begun and (observers := self.__dict__.get("observers")):
            from algo_core.events import CommandEnded

            command, began = self._begun
            observers.put(CommandEnded(command, exit_code, time.monotonic() - began, time.time()))

    @functools.cached_property
    def observers(self) -> Observers | None:
        """Tells plugins what happens (the hook `algo_observe`); None if none wants to know."""
        if not self.plugins.implement("algo_observe"):
            return None
        from algo_core.observers import Observers

        return Observers(self.plugins.teller("algo_observe", "event"), self._warn)

    def close(self) -> None:
        """Close connections and sessions, and the plugins' transports."""
        for name in ("http", "session"):
            if opened := self.__dict__.get(name):
                try:
                    opened.close()
                except BaseException as error:  # a plugin's transport; what the command has done stays done
                    from algo_core.terminal.signals import is_of_a_signal

                    if is_of_a_signal(error):
                        raise
                    self._warn_of_close(error)
        if observers := self.__dict__.get("observers"):
            observers.close()

    def _warn_of_close(self, error: BaseException) -> None:
        from algo_core.errors import cause

        owner = self.plugins.owner_of(error)
        self._warn(
            f"{f'the plugin {owner.label}' if owner else 'a connection'} failed when it was closed: {cause(error)}"
        )


def _broken(record: PluginRecord) -> str:
    return f"The plugin {record.label} is broken and was skipped: `algo plugins show {record.dist}`"


pass_app = click.make_pass_decorator(App)
"""Decorates a command's function: the running `App` becomes its first argument."""
