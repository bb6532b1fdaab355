"""The platform of one state: its parts, opened on first use, and the content of a new one."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from algo_local import replacement
from algo_local.callers import Caller
from algo_local.metadata.opening import open_database, open_places
from algo_local.metadata.store import KEY_CHECK, Metadata, insert_account
from algo_local.metadata.write_stop import check_writable, refuse_changes
from algo_local.names import account_name_from, check_name, check_owner
from algo_local.permissions import make_directories, make_private, make_root, notify
from algo_local.state import DATABASE, KEY_FILE, KEY_VARIABLE, State

if TYPE_CHECKING:
    from algo_local.algorithms.build import Build, NetworkAccess
    from algo_local.algorithms.builder import Builder
    from algo_local.algorithms.builds import Builds
    from algo_local.algorithms.compilation import Compiler
    from algo_local.algorithms.directory_publication import TryIt, Wish
    from algo_local.algorithms.environment_repair import Equipment
    from algo_local.algorithms.pending_builds import PendingBuilds
    from algo_local.algorithms.registry import Algorithm, Registry, Version
    from algo_local.algorithms.repositories import Repositories
    from algo_local.data.connector_data import ConnectedData
    from algo_local.data.connectors import Connectors
    from algo_local.data.hosted import HostedData
    from algo_local.data.objects import Objects
    from algo_local.data.shared_repositories import SharedRepositories
    from algo_local.data.shared_sources import SharedSources
    from algo_local.execution.concurrency import ConcurrencyLimit
    from algo_local.execution.executor import Endpoint, Executor
    from algo_local.execution.workers.keeper import Keeper
    from algo_local.metadata.accounts import Accounts
    from algo_local.metadata.administration import Administration
    from algo_local.metadata.database import Database
    from algo_local.metadata.event_listeners import EventListeners
    from algo_local.metadata.incoming_webhooks import IncomingWebhooks
    from algo_local.metadata.keys import Keys
    from algo_local.metadata.notifications import Notifications
    from algo_local.metadata.organizations import Organizations
    from algo_local.metadata.schedules import Schedules
    from algo_local.metadata.scms import Scms
    from algo_local.metadata.secrets import Secrets
    from algo_local.metadata.vault import Vault
    from algo_local.records.recorder import Recorder
    from algo_local.webhooks.deliverer import Deliverer

OWN_PARTS = (
    *("data", "algorithm-data", "sessions", "incoming", "trash"),
    *("sources", "drafts", "environments", "packages", "connectors", "processes", "repositories", "running"),
    *("executor", "keeper", replacement.DIRECTORY, "migrating"),
)
"""The directories under the root that belong to the platform; nothing else there is ever touched."""

NOTIFY_SECONDS = 20.0
"""Time for the notifications of calls before a process ends that is no server; they are retried by the next one."""

DATABASE_FILES = [DATABASE + suffix for suffix in ("", "-wal", "-shm", "-journal")]
_OWN_ACCOUNT = "account"

_T = TypeVar("_T")


class _Part(Generic[_T]):
    """An attribute that is created on first use, once, in any thread."""

    def __init__(self, make: Callable[[Any], _T]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __get__(self, platform: Platform, owner: object = None) -> _T:
        name = self._make.__name__
        with platform.lock:
            parts = platform.parts
            if name not in parts:
                parts[name] = self._make(platform)
            # From now on the attribute is found there, without this method: until the platform is closed.
            platform.__dict__[name] = parts[name]
        return cast("_T", parts[name])


class Forwarding(Protocol):
    """Another process of the same platform; requests and responses are those of `algo_local.web`."""

    def answer(self, request: Any) -> Any:
        """Have it answer a request whose effect is to outlive this process; its response."""

    def follow(self) -> None:
        """Have its workers follow a change."""

    def build(self, algorithm: str) -> None:
        """Have it build what was requested of an algorithm, given its id."""


class Platform:
    """Accounts, algorithms, hosted data and running algorithms of one state; a path names a directory.

    Any number of threads and processes may use the same state at once. Nothing is opened, created or started before
    it is needed; existing files are made private at once. Its methods raise the errors of the parts.

    `open_callback` opens the address at which running algorithms reach the platform; without it, none can run.
    `open_executor` opens and starts what runs them, given that address and a directory; without it, processes of this
    machine do, and with `keeps_workers` these are left to the next process for a while; see `rest`.
    """

    def __init__(
        self,
        state: State | Path,
        *,
        open_callback: Callable[[Platform], Endpoint] | None = None,
        open_executor: Callable[[Callable[[], Endpoint], Path], Executor] | None = None,
        keeps_workers: bool = False,
    ) -> None:
        self._open_callback = open_callback
        self._open_executor = open_executor
        self._keeps_workers = keeps_workers
        state = state if isinstance(state, State) else State(state)
        self.root = state.root.resolve()
        self.state = replace(state, root=self.root)
        make_private(self.root, OWN_PARTS, [*DATABASE_FILES, KEY_FILE])
        self.parts: dict[str, object] = {}
        self.lock = threading.RLock()
        self._background: list[threading.Thread] = []
        self.changed = threading.Event()
        """Set after a change of versions or settings that concerns workers; see `worker_updates.py`."""
        self._shares_builds = False
        self.forwarding: Forwarding | None = None
        """What has another process answer the requests whose effect is to outlive this one."""
        self.is_served = False
        """Whether it goes on after this process: the next one executes what this one has accepted."""
        self.is_public = False
        """Whether it is served to other machines."""

    @_Part
    def database(self) -> Database:
        """The database; a new one is filled before it is used.

        Raises:
            ConfigError: if its secrets are encrypted with another key than that of this machine.
        """
        make_root(self.root)
        replacement.finish_replacement(self.root)
        database = open_database(self.state)
        settings = Metadata(database).settings(_OWN_ACCOUNT, KEY_CHECK)
        if _OWN_ACCOUNT not in settings:
            self._furnish(database)
        self._check_key(database, settings.get(KEY_CHECK))
        self._adopt_options(database)
        database.guard = partial(refuse_changes, database, str(self.state))
        return database

    def _adopt_options(self, database: Database) -> None:
        """Take what opens connectors from the files of an older version."""
        directory = self.root / "connectors"
        if directory.is_dir() and any(directory.glob("*.json")):
            from algo_local.data.connectors import Connectors
            from algo_local.metadata.vault import Vault

            Connectors(database, Vault(self.root, database)).adopt(directory)

    def _check_key(self, database: Database, noted: str | None) -> None:
        """Refuse a key that does not fit before anything is encrypted with it."""
        if noted is not None or os.environ.get(KEY_VARIABLE) or (self.root / KEY_FILE).exists():
            from algo_local.metadata.vault import Vault

            Vault(self.root, database).check(noted)

    def ensure_key(self) -> None:
        """Have a platform that several machines may serve have its key of secrets: all others need the same one.

        Raises:
            ConfigError: if another machine has made it, and it is missing here.
        """
        if self.state.metadata:
            self._vault.key()

    @_Part
    def metadata(self) -> Metadata:
        """Names of accounts, and collections."""
        return Metadata(self.database)

    @_Part
    def accounts(self) -> Accounts:
        """The accounts of people and organizations, in full."""
        from algo_local.metadata.accounts import Accounts

        return Accounts(self.database)

    @_Part
    def keys(self) -> Keys:
        """The API keys of all accounts."""
        from algo_local.metadata.keys import Keys

        return Keys(self.database)

    @_Part
    def organizations(self) -> Organizations:
        """Organizations and their members."""
        from algo_local.metadata.organizations import Organizations

        return Organizations(self.database)

    @_Part
    def administration(self) -> Administration:
        """Switches, invites, reservations and configuration."""
        from algo_local.metadata.administration import Administration

        return Administration(self.database)

    @_Part
    def notifications(self) -> Notifications:
        """Notifications of accounts."""
        from algo_local.metadata.notifications import Notifications

        return Notifications(self.database)

    @_Part
    def secrets(self) -> Secrets:
        """The secrets of algorithms."""
        from algo_local.metadata.secrets import Secrets

        return Secrets(self.database, self._vault)

    @_Part
    def schedules(self) -> Schedules:
        """Calls at times that repeat."""
        from algo_local.metadata.schedules import Schedules

        return Schedules(self.database)

    @_Part
    def incoming_webhooks(self) -> IncomingWebhooks:
        """Addresses at which other services call algorithms."""
        from algo_local.metadata.incoming_webhooks import IncomingWebhooks

        return IncomingWebhooks(self.database)

    @_Part
    def event_listeners(self) -> EventListeners:
        """Listeners to queues."""
        from algo_local.metadata.event_listeners import EventListeners

        return EventListeners(self.database, self._vault)

    @_Part
    def registry(self) -> Registry:
        """Algorithms and versions."""
        from algo_local.algorithms.registry import Registry

        return Registry(self.database, self.root)

    @_Part
    def objects(self) -> Objects:
        """Files of hosted data."""
        from algo_local.data.directory import DirectoryObjects

        if not self.state.objects:
            return DirectoryObjects(self.root)
        from algo_local.data.opening import open_store

        return open_store(
            self.state.objects, self.root, self._collection_directories, lambda: self.metadata.platform_id()
        )

    def _collection_directories(self) -> set[str]:
        found = self.metadata.all_collections()
        return {self.objects.collection(one.owner, one.name, one.id) for one in found}

    @_Part
    def builder(self) -> Builder:
        """Turns directories into builds."""
        from algo_local.algorithms.builder import Builder

        return Builder(self.root, shared=self.shared_sources)

    @_Part
    def shared_sources(self) -> SharedSources | None:
        """The sources of builds in the object store, if there is one."""
        if not self.state.objects:
            return None
        from algo_local.data.shared_sources import SharedSources

        return SharedSources(self.objects)

    @_Part
    def equipment(self) -> Equipment:
        """The environments of builds."""
        from algo_local.algorithms.environment_repair import Equipment

        is_alone = not (self.state.objects or self.state.metadata)
        return Equipment(self.database, lambda: self.builder, self.root, is_alone=is_alone)

    @_Part
    def scms(self) -> Scms:
        """Source hosts besides the platform itself."""
        from algo_local.metadata.scms import Scms

        return Scms(self.database, self._vault)

    @_Part
    def builds(self) -> Builds:
        """The builds of all algorithms, whatever came of them."""
        from algo_local.algorithms.builds import Builds

        directory = self.root / "repositories"
        leases = None
        if self.state.metadata:
            from algo_local.algorithms.build_leases import BuildLeases

            leases = BuildLeases(self.database, directory)
        return Builds(self.database, directory, leases)

    @_Part
    def repositories(self) -> Repositories:
        """The sources of algorithms, with their history."""
        from algo_local.algorithms.repositories import Repositories

        return Repositories(self.root / "repositories", self.registry, self.scms, self.shared_repositories)

    @_Part
    def shared_repositories(self) -> SharedRepositories | None:
        """The repositories in the object store, if there is one, and a database server says which are current."""
        if not self.state.is_shared:
            return None
        from algo_local.data.shared_repositories import SharedRepositories

        return SharedRepositories(self.objects, self.database, self.check_writable)

    @_Part
    def compiler(self) -> Compiler:
        """Turns commits into builds."""
        from algo_local.algorithms.compilation import Compiler

        return Compiler(self.registry, self.builds, self.repositories, self.builder)

    @_Part
    def pending_builds(self) -> PendingBuilds:
        """Builds what pushes have asked for."""
        from algo_local.algorithms.pending_builds import PendingBuilds

        def forward(algorithm: str) -> bool:
            if self.forwarding:
                self.forwarding.build(algorithm)
            return self.forwarding is not None

        return PendingBuilds(
            self.registry, self.builds, lambda: self.compiler, self.in_background, forward, self.check_writable
        )

    @_Part
    def executor(self) -> Executor:
        """Runs builds. Its processes end with this one at the latest.

        Raises:
            ConfigError: if a variable that limits or confines them cannot be understood.
            AlgoError: if the executor of a plugin cannot be opened or started.
        """
        if self._open_executor:
            return self._open_executor(lambda: self._callback, self.root / "executor")
        from algo_local.execution.limits import Limits
        from algo_local.execution.workers.local_pool import LocalPool
        from algo_local.execution.workers.sandbox import protection

        Limits.of()
        protection(self.root, try_it=False)
        pool = LocalPool(lambda: self._callback, self.root / "processes", keeper=self._keeper())
        pool.start()
        return pool

    def _keeper(self) -> Keeper | None:
        if not self._keeps_workers:
            return None
        from algo_local.execution.workers.keeper import keep_seconds, keeper_of

        seconds = keep_seconds()
        return keeper_of(self.root, seconds) if seconds else None

    @_Part
    def records(self) -> Recorder:
        """The calls that are under way, and those on record."""
        from algo_local.records.recorder import Recorder

        presence = None
        if self.state.metadata:
            from algo_local.records.shared_presence import SharedPresence

            presence = SharedPresence(self.root, self.database)
        return Recorder(
            self.database, self.root, lambda identifier: self.executor.cancel(identifier), presence=presence
        )

    @_Part
    def webhooks(self) -> Deliverer:
        """Notifications of clients about calls that have ended."""
        from algo_local.webhooks.deliverer import Deliverer
        from algo_local.webhooks.limits import sends_to_private_addresses

        return Deliverer(
            self.records,
            self.webhook_secret,
            allow_private=lambda: sends_to_private_addresses(is_public=self.is_public),
        )

    def webhook_secret(self, account: str) -> str:
        """The secret with which notifications of an account are signed."""
        return self._vault.derive(f"webhooks of {account.lower()}")

    @_Part
    def concurrency(self) -> ConcurrencyLimit:
        """The calls under way, by account."""
        from algo_local.execution.concurrency import ConcurrencyLimit, SharedConcurrencyLimit

        places = open_places(self.state)
        return SharedConcurrencyLimit(places) if places else ConcurrencyLimit()

    def unshared(self) -> str:
        """What to tell those who serve it, if other machines use its database and do not see its files; else empty."""
        if not self.state.metadata or self.state.objects:
            return ""
        from algo_local.records.shared_presence import SharedPresence

        if not SharedPresence(self.root, self.database).are_elsewhere():
            return ""
        return (
            "Other machines use this database with directories of their own: files of hosted data are only on the"
            " machine that has received them, unless all are given --objects"
        )

    def secrets_key(self) -> bytes:
        """The key of secrets as text, wherever it comes from; empty if there is none."""
        return self._vault.found()

    @_Part
    def account(self) -> str:
        """The account of the platform's own user, who needs no key inside their own processes."""
        return self.metadata.setting(_OWN_ACCOUNT) or ""

    @_Part
    def connectors(self) -> Connectors:
        """The connectors of all accounts, to stores other than hosted data."""
        from algo_local.data.connectors import Connectors

        return Connectors(self.database, self._vault)

    def connector(self, caller: Caller, name: str) -> ConnectedData:
        """The data behind one of the caller's connectors (API section 4.2).

        Raises:
            NotFoundError: if they have none of this name.
            ConfigError: if a package is not installed, or its options are wrong.
        """
        from algo_local.data.connector_data import ConnectedData

        found = self.connectors.find(caller.account, name)
        return ConnectedData(found, name, self.connectors.open(found))

    @_Part
    def hosted(self) -> HostedData:
        """Hosted data: the connector `data`."""
        from algo_local.data.hosted import HostedData
        from algo_local.data.path_resolver import PathResolver

        resolver = PathResolver(self.metadata, lambda: self.registry, self.objects)
        return HostedData(self.metadata, self.objects, resolver, self.check_writable)

    def publish(
        self,
        directory: Path,
        owner: str,
        name: str,
        version: str,
        *,
        public: bool = True,
        network_access: NetworkAccess | None = None,
        python: tuple[int, ...] = (),
        report: Callable[[str], None] | None = None,
    ) -> Version:
        """Build an algorithm directory and publish it as a version; see `publish_directory`."""
        from algo_local.algorithms.directory_publication import Wish

        wish = Wish(version, public=public, network_access=network_access, python=python)
        return self.publish_directory(directory, owner, name, wish, report=report)[0]

    def publish_directory(
        self,
        directory: Path,
        owner: str,
        name: str,
        wish: Wish,
        *,
        try_it: TryIt | None = None,
        report: Callable[[str], None] | None = None,
    ) -> tuple[Version, bool]:
        """Build a directory and publish it as it is wished; the version, and whether it is new.

        `report` is called for each step of the build, and `try_it` with what was built, before it is published.

        Raises:
            UsageError: if the version is no semantic version.
            RequestRefused: if owner or name cannot be names.
            AlreadyExists: if that version is published already.
            BuildError: if the directory cannot be built.
            AlgoError: what `try_it` raises.
        """
        from algo_local.algorithms.build import BuildError
        from algo_local.algorithms.directory_publication import publish_directory

        check_owner(owner)
        check_name(name, "an algorithm")
        known = self.registry.algorithm(owner, name)
        names = (known.owner, known.name) if known else (self.metadata.account(owner) or owner, name)
        started = time.time()
        try:
            published, is_new = publish_directory(
                self.registry, self.builder, directory, names, wish, try_it=try_it, report=report
            )
        except BuildError as error:
            if error.commit:
                log = "\n".join(filter(None, (error.log, f"ERROR: {error.message}", error.hint))) + "\n"
                self.builds.record_failure(self.registry.ensure(*names), error.commit, started, log)
            raise
        if is_new:
            message = f"Published as {published.text} from a directory"
            self.repositories.record(published.algorithm, published.build.source, self.account, message)
            self.tell_owners("version_published", published.algorithm, by=self.account, version=published.text)
        return published, is_new

    def tell_owners(self, kind: str, algorithm: Algorithm, *, by: str, version: str | None = None) -> None:
        """Notify the owners of an algorithm of an action, except the account that did it."""
        members = self.organizations.members(algorithm.owner)
        owners = [account for account, role in members if role != "invited"] or [algorithm.owner]
        context = {"algorithm_id": algorithm.id, "username": algorithm.owner, "algoname": algorithm.name}
        if version:
            context["semantic_version"] = version
        told = [account for account in owners if account != by]
        if told:
            self.notifications.tell(told, kind, context)

    def in_background(self, work: Callable[[], object]) -> None:
        """Run work after the response (`output=void`); the process does not end before it is done."""
        thread = threading.Thread(target=work, name="algo-void", daemon=False)
        thread.start()
        with self.lock:
            self._background = [running for running in self._background if running.is_alive()] + [thread]

    def end_background(self) -> None:
        """Return when all that was begun in the background is done, and what that has begun."""
        while running := [thread for thread in list(self._background) if thread.is_alive()]:
            for thread in running:
                thread.join()

    def wait_for_background(self) -> None:
        """Return when all that was begun in the background is done, and on record.

        The interpreter waits for these threads when it ends, but some (Python 3.12) let them start no process by then.
        """
        self.end_background()
        if "records" in self.parts:
            self.records.flush()
            if told := self.records.unwritten():
                notify(told)
        if "webhooks" in self.parts:
            self.webhooks.close(NOTIFY_SECONDS)

    def check_writable(self) -> None:
        """Raise StorageUnavailable if this platform is being moved elsewhere, or has been."""
        check_writable(self.database, str(self.state))

    def runnable(self, version: Version) -> Build:
        """The build of a version as the executor is given it: with the algorithm's secrets, files and environment.

        Raises:
            PlatformError: if its environment is missing, and cannot be made.
            BuildError: if another machine has made it, and its files cannot be had.
        """
        algorithm, build = version.algorithm, self.with_files(version.build)
        if (python := self.equipment.python_for(build)) is not build.python:
            build = replace(build, python=python)
        if not algorithm.has_secrets:
            return build
        return replace(build, secrets=tuple(self.secrets.environment(algorithm.id).items()))

    def with_files(self, build: Build) -> Build:
        """A build, with its files on this machine where several machines make builds (`Builder.fetch_source`)."""
        if self.state.objects:
            self.builder.fetch_source(build)
        return build

    def share_builds(self) -> None:
        """Store the files of this machine's builds and repositories that were made before there was an object store.

        Raises:
            StorageUnavailable: if the object store cannot be used; another call goes on.
        """
        if self._shares_builds or not self.shared_sources:
            return
        with self.database.read() as rows:
            found = rows.execute("SELECT DISTINCT source FROM builds WHERE status = 'succeeded'").fetchall()
        for (source,) in found:
            if (tree := self.root / source).is_dir():
                self.shared_sources.keep(tree)
        self.repositories.share()
        self._shares_builds = True

    def forget_kept(self, label: str | None) -> None:
        """End the workers of an algorithm (`OWNER/NAME`; None for all) that wait for the next process."""
        if self._keeps_workers:
            from algo_local.execution.workers.keeper import keeper_of

            if keeper := keeper_of(self.root):  # of an earlier command, whatever this one would keep
                keeper.drop(label)

    def rest(self) -> None:
        """Leave idle workers to the next process that calls their algorithms."""
        if self._keeps_workers and "executor" in self.parts:
            from algo_local.execution.workers.local_pool import LocalPool

            if isinstance(self.executor, LocalPool):
                self.executor.rest()

    def close(self) -> None:
        """End all running algorithms and close everything. The platform can be used again afterwards."""
        with self.lock:
            parts, self.parts = self.parts, {}
            for name in parts:
                self.__dict__.pop(name, None)
        for name in ("executor", "_callback", "webhooks", "records", "concurrency", "database"):
            if name in parts:
                cast("Any", parts[name]).close()

    @_Part
    def _vault(self) -> Vault:
        from algo_local.metadata.vault import Vault

        return Vault(self.root, self.database)

    @_Part
    def _callback(self) -> Endpoint:
        assert self._open_callback, "algorithms run on a platform that open_platform has opened"
        return self._open_callback(self)

    def _furnish(self, database: Database) -> None:
        """Fill a new platform with the user's account and `demo/Hello`. Two processes may do so at once."""
        from algo_local.algorithms.builder import Builder
        from algo_local.algorithms.catalog import HELLO, HELLO_VERSIONS
        from algo_local.algorithms.registry import Registry

        make_directories(self.root, OWN_PARTS)
        registry = Registry(database, self.root)
        started = time.time()
        builder = Builder(self.root)  # it is shared later, since objects need a database
        with builder.building():
            build = builder.build(HELLO, "demo", "Hello")
            with database.write() as rows:
                if rows.execute("SELECT 1 FROM settings WHERE name = ?", (_OWN_ACCOUNT,)).fetchone():
                    return
                for number in HELLO_VERSIONS:
                    registry.publish_in(rows, "demo", "Hello", number, build, public=True, started_at=started)
                account = account_name_from(_login())
                insert_account(rows, account)
                rows.execute("UPDATE accounts SET is_administrator = 1 WHERE name = ?", (account,))
                rows.execute("INSERT INTO settings VALUES (?, ?)", (_OWN_ACCOUNT, account))


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user id without a name, as in some containers
        return ""
