"""Algorithms, builds and published versions, and the resolution of references (API section 3.2)."""

from __future__ import annotations

import json
import re
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from algo_core.errors import AlreadyExists, UsageError
from algo_local.algorithms.build import Build, NetworkAccess
from algo_local.algorithms.worker_resources import stored
from algo_local.metadata.store import insert_account
from algo_local.names import check_name

if TYPE_CHECKING:
    from algo_local.algorithms.worker_resources import Resources
    from algo_local.metadata.database import Database, Rows

Number = tuple[int, int, int]
"""A semantic version: major, minor, revision."""

_NUMBER = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})", re.ASCII)
_RANGE = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?(?:\.[*x]){0,2}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_ALGORITHM = (
    "id, owner, name, created_at, network_access, label, summary, tagline, tags, sample_input, callability,"
    " source_visibility, license, language, environment, package_set, algorithm_environment, pipeline_enabled,"
    " royalty_microcredits, default_collection, request_records, min_workers, max_workers, resources,"
    " EXISTS (SELECT 1 FROM secrets WHERE secrets.algorithm = algorithms.id)"
)
_VERSION_QUERY = """
SELECT v.id, v.major, v.minor, v.revision, v.public, v.published_at, b.id, b.commit_hash, b.source, b.python, b.module,
       b.log, b.started_at, b.finished_at, v.release_notes, v.sample_input, v.sample_output, v.insights_enabled
FROM versions v JOIN builds b ON b.id = v.build WHERE v.algorithm = ? AND v.unpublished_at IS NULL
ORDER BY v.major DESC, v.minor DESC, v.revision DESC
"""
_BUILD_QUERY = """
SELECT NULL, NULL, NULL, NULL, NULL, NULL, id, commit_hash, source, python, module, log, started_at, finished_at,
       '', '', '', 1
FROM builds WHERE algorithm = ? AND status = 'succeeded' AND commit_hash = coalesce(?, commit_hash)
ORDER BY finished_at DESC, started_at DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """An algorithm: owner and name in their stored spelling."""

    id: str
    owner: str
    name: str
    created_at: float
    """Seconds since the epoch."""
    network_access: NetworkAccess = "full"
    """What all its versions may reach (API section 6.3)."""
    label: str = ""
    summary: str = ""
    tagline: str = ""
    tags: tuple[str, ...] = ()
    sample_input: str = ""
    callability: str = "private"
    """What its next version is published as, unless that is said then: `public` or `private`."""
    source_visibility: str = "closed"
    license: str = "apl"
    language: str = "python3"
    environment: str = "cpu"
    package_set: str | None = None
    algorithm_environment: str | None = None
    """The id of the environment that was chosen, in the place of a package set, or of language and environment."""
    pipeline_enabled: bool = True
    """Whether it may call other algorithms."""
    royalty_microcredits: int = 0
    default_collection: str | None = None
    """The id of the collection that `data://.algo/default` means inside of it."""
    request_records: str = "full"
    """What is kept of its calls: one of `algo_local.records.record.LEVELS`."""
    min_workers: int = 0
    """Workers that its newest version keeps, started ahead of calls."""
    max_workers: int = 0
    """Workers that each of its versions may have at once; 0 for as many as the platform allows."""
    resources: Resources = ()
    """What its workers take of a node of a cluster, as far as its settings say it."""
    has_secrets: bool = False

    def __hash__(self) -> int:
        """The hash of its id: it is looked up in each call, and hashing all attributes would be slow."""
        return hash(self.id)


@dataclass(frozen=True, slots=True)
class Version:
    """A build of an algorithm, and its version if published."""

    algorithm: Algorithm
    build: Build
    build_id: str
    started_at: float
    finished_at: float
    id: str | None = None
    number: Number | None = None
    public: bool = False
    published_at: float | None = None
    release_notes: str = ""
    sample_input: str = ""
    sample_output: str = ""
    insights_enabled: bool = True
    """Whether what its calls report about themselves is kept."""

    @property
    def text(self) -> str | None:
        """The semantic version as text."""
        return ".".join(map(str, self.number)) if self.number else None


def parse_version(text: str) -> Number:
    """Read `X.Y.Z`.

    Raises:
        UsageError: if it is anything else.
    """
    match = _NUMBER.fullmatch(text)
    if not match:
        raise UsageError(f"Not a semantic version: {text!r}", "Versions to publish look like 1.0.0")
    return int(match[1]), int(match[2]), int(match[3])


class Registry:
    """The registry of algorithms. `root` is the platform's directory; paths inside it are stored relative to it."""

    def __init__(self, database: Database, root: Path) -> None:
        self.database = database
        self.root = root

    def algorithm(self, owner: str, name: str = "") -> Algorithm | None:
        """Find an algorithm by owner and name, in any case, or by its id."""

        def ask() -> Algorithm | None:
            by_id = not name and _UUID.fullmatch(owner)
            condition, values = ("id = ?", (owner,)) if by_id else ("owner = ? AND name = ?", (owner, name))
            with self.database.read() as rows:
                found = rows.execute(f"SELECT {_ALGORITHM} FROM algorithms WHERE {condition}", values).fetchone()
            return _algorithm(found) if found else None

        return self.database.remembered(("algorithm", owner, name), ask)

    def algorithms(self, owner: str | None = None) -> list[Algorithm]:
        """All algorithms, or those of one account, in the order of their names."""
        with self.database.read() as rows:
            condition, values = ("1 = 1", ()) if owner is None else ("owner = ?", (owner,))
            query = f"SELECT {_ALGORITHM} FROM algorithms WHERE {condition} ORDER BY owner, name"
            found = rows.execute(query, values).fetchall()
        return [_algorithm(row) for row in found]

    def kept_ready(self) -> list[Version]:
        """The newest version of each algorithm that keeps workers ready."""
        with self.database.read() as rows:
            query = f"SELECT {_ALGORITHM} FROM algorithms WHERE min_workers > 0 ORDER BY owner, name"
            found = [_algorithm(row) for row in rows.execute(query)]
        newest = ((algorithm, self.versions(algorithm)) for algorithm in found)
        return [_newest_public(versions, "") or versions[0] for _, versions in newest if versions]

    def may_call_others(self, owner: str, name: str) -> bool:
        """Whether an algorithm may call other algorithms (`pipeline_enabled`)."""
        algorithm = self.algorithm(owner, name)
        return algorithm is None or algorithm.pipeline_enabled

    def public(self) -> set[str]:
        """The ids of the algorithms with a public version."""
        with self.database.read() as rows:
            return {
                row[0]
                for row in rows.execute(
                    "SELECT DISTINCT algorithm FROM versions WHERE public = 1 AND unpublished_at IS NULL"
                )
            }

    def is_public(self, algorithm: Algorithm) -> bool:
        """Whether an algorithm has a public version."""

        def ask() -> bool:
            query = "SELECT 1 FROM versions WHERE algorithm = ? AND public = 1 AND unpublished_at IS NULL LIMIT 1"
            with self.database.read() as rows:
                return rows.execute(query, (algorithm.id,)).fetchone() is not None

        return self.database.remembered(("public", algorithm.id), ask)

    def versions(self, algorithm: Algorithm) -> list[Version]:
        """The published versions of an algorithm, highest number first."""

        def ask() -> tuple[Version, ...]:
            with self.database.read() as rows:
                found = rows.execute(_VERSION_QUERY, (algorithm.id,)).fetchall()
            return tuple(self._version(algorithm, row) for row in found)

        return list(self.database.remembered(("versions", algorithm), ask))

    def resolve(self, algorithm: Algorithm, wanted: str, *, as_owner: bool) -> Version | None:
        """Resolve the version part of a reference (API section 3.2); None if nothing matches.

        `as_owner` opens what is private: those versions, and builds by their commit.
        """
        if _COMMIT.fullmatch(wanted):
            return self.build(algorithm, wanted) if as_owner else None
        published = self.versions(algorithm)
        if wanted == "latestPrivate":
            private = [version for version in published if not version.public] if as_owner else []
            return max(private, key=lambda version: version.published_at or 0.0, default=None)
        exact = _NUMBER.fullmatch(wanted)
        if exact:
            number = tuple(map(int, exact.groups()))
            fitting = [version for version in published if version.number == number]
            return next((version for version in fitting if version.public or as_owner), None)
        return _newest_public(published, wanted)

    def ensure(self, owner: str, name: str) -> Algorithm:
        """Find or create an algorithm and its account. RequestRefused for invalid names."""
        with self.database.write() as rows:
            insert_account(rows, owner)
            return _ensure_algorithm(rows, owner, name, time.time())

    def publish(
        self,
        owner: str,
        name: str,
        number: Number,
        build: Build,
        *,
        public: bool,
        started_at: float,
        network_access: NetworkAccess | None = None,
        sample: tuple[str, str] = ("", ""),
        settings: Mapping[str, object] | None = None,
    ) -> Version:
        """Record a build under a version number, creating account and algorithm if missing.

        Args:
            owner: the account.
            name: the algorithm's name.
            number: the version.
            build: the build to publish.
            public: whether other accounts may call the version.
            started_at: the start of the build, in seconds since the epoch.
            network_access: the new setting for all versions of the algorithm; None keeps it.
            sample: an input and its output, as JSON.
            settings: attributes of the algorithm to set.

        Raises:
            AlreadyExists: if that number is published already.
            RequestRefused: if owner or name cannot be names.
        """
        with self.database.write() as rows:
            return self.publish_in(
                rows,
                owner,
                name,
                number,
                build,
                public=public,
                started_at=started_at,
                network_access=network_access,
                sample=sample,
                settings=settings,
            )

    def publish_in(
        self,
        rows: Rows,
        owner: str,
        name: str,
        number: Number,
        build: Build,
        *,
        public: bool,
        started_at: float,
        network_access: NetworkAccess | None = None,
        sample: tuple[str, str] = ("", ""),
        settings: Mapping[str, object] | None = None,
    ) -> Version:
        """`publish` inside a transaction."""
        now = time.time()
        insert_account(rows, owner)
        algorithm = _ensure_algorithm(rows, owner, name, now)
        changed: dict[str, Any] = {**(settings or {}), **({"network_access": network_access} if network_access else {})}
        for column, value in changed.items():
            rows.execute(f"UPDATE algorithms SET {column} = ? WHERE id = ?", (value, algorithm.id))
        algorithm = replace(algorithm, **changed)
        build_id = self._ensure_build(rows, algorithm, build, started_at, now)
        self._refuse_existing(rows, algorithm, number)
        identifier = str(uuid.uuid4())
        rows.execute(
            "INSERT INTO versions"
            " (id, algorithm, major, minor, revision, public, build, published_at, sample_input, sample_output,"
            " insights_enabled) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
            (identifier, algorithm.id, *number, int(public), build_id, now, *sample),
        )
        build = replace(
            build,
            network_access=algorithm.network_access,
            min_workers=algorithm.min_workers,
            max_workers=algorithm.max_workers,
            resources=algorithm.resources,
        )
        return Version(algorithm, build, build_id, started_at, now, identifier, number, public, now)

    def refuse_existing(self, owner: str, name: str, number: Number) -> None:
        """Raise AlreadyExists, with possible next numbers, if this number is published already."""
        algorithm = self.algorithm(owner, name)
        if algorithm:
            with self.database.read() as rows:
                self._refuse_existing(rows, algorithm, number)

    def highest(self, algorithm: Algorithm) -> Number | None:
        """The highest number ever published of an algorithm, or None."""
        query = (
            "SELECT major, minor, revision FROM versions WHERE algorithm = ?"
            " ORDER BY major DESC, minor DESC, revision DESC"
        )
        with self.database.read() as rows:
            found: Number | None = rows.execute(query, (algorithm.id,)).fetchone()
        return found

    def _refuse_existing(self, rows: Rows, algorithm: Algorithm, number: Number) -> None:
        numbers: list[Number] = rows.execute(
            "SELECT major, minor, revision FROM versions WHERE algorithm = ?", (algorithm.id,)
        ).fetchall()
        if number in numbers:
            major, minor, revision = max(numbers)
            query = "SELECT 1 FROM versions WHERE (algorithm, major, minor, revision) = (?, ?, ?, ?)"
            is_there = rows.execute(f"{query} AND unpublished_at IS NULL", (algorithm.id, *number)).fetchone()
            how = "is published already" if is_there else "was withdrawn, and its number is not used again"
            raise AlreadyExists(
                f"{algorithm.owner}/{algorithm.name}/{'.'.join(map(str, number))} {how}",
                f"Published versions never change; publish the next one, for example with: "
                f"--version {major}.{minor}.{revision + 1}, or {major}.{minor + 1}.0",
            )

    def _ensure_build(self, rows: Rows, algorithm: Algorithm, build: Build, started_at: float, now: float) -> str:
        rows.execute(
            "INSERT INTO builds"
            " (id, algorithm, commit_hash, source, python, module, log, started_at, finished_at, status)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'succeeded')"
            " ON CONFLICT (algorithm, commit_hash) WHERE status = 'succeeded' DO UPDATE"
            " SET source = excluded.source, python = excluded.python, module = excluded.module, log = excluded.log",
            (
                str(uuid.uuid4()),
                algorithm.id,
                build.commit,
                self.stored(build.source),
                self.stored_interpreter(build.python),
                build.module,
                build.log,
                started_at,
                now,
            ),
        )
        found = rows.execute(
            "SELECT id FROM builds WHERE algorithm = ? AND commit_hash = ? AND status = 'succeeded'",
            (algorithm.id, build.commit),
        ).fetchone()
        return str(found[0])

    def build(self, algorithm: Algorithm, commit: str) -> Version | None:
        """The successful build of a commit, or None."""
        return self._find_build(algorithm, commit)

    def is_withdrawn(self, build: str) -> bool:
        """Whether all versions published from a build (by id) have been withdrawn; False without any."""
        query = "SELECT count(*), count(unpublished_at) FROM versions WHERE build = ?"
        with self.database.read() as rows:
            published, withdrawn = rows.execute(query, (build,)).fetchone()
        return bool(0 < published == withdrawn)

    def newest_build(self, algorithm: Algorithm) -> Version | None:
        """The last successful build, or None."""
        return self._find_build(algorithm, None)

    def _find_build(self, algorithm: Algorithm, commit: str | None) -> Version | None:
        with self.database.read() as rows:
            found = rows.execute(_BUILD_QUERY, (algorithm.id, commit)).fetchone()
        return self._version(algorithm, found) if found else None

    def _version(self, algorithm: Algorithm, row: tuple[object, ...]) -> Version:
        identifier, major, minor, revision, public, published_at, build_id = row[:7]
        commit, source, python, module, log, started_at, finished_at = row[7:14]
        release_notes, sample_input, sample_output, insights_enabled = row[14:]
        build = Build(
            commit=str(commit),
            source=self.root / str(source),
            python=self.root / str(python) if python else Path(sys.executable),
            module=str(module),
            log=str(log),
            network_access=algorithm.network_access,
            min_workers=algorithm.min_workers,
            max_workers=algorithm.max_workers,
            resources=algorithm.resources,
        )
        number = None if identifier is None else (_int(major), _int(minor), _int(revision))
        return Version(
            algorithm,
            build,
            str(build_id),
            _float(started_at),
            _float(finished_at),
            None if identifier is None else str(identifier),
            number,
            bool(public),
            None if published_at is None else _float(published_at),
            str(release_notes),
            str(sample_input),
            str(sample_output),
            bool(insights_enabled),
        )

    def stored(self, path: Path) -> str:
        """The stored form of a path: relative to the platform's directory if inside it."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def stored_interpreter(self, python: Path) -> str:
        """The stored form of an interpreter: empty for our own, which may be replaced later."""
        return self.stored(python) if python.is_relative_to(self.root) else ""


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value


def _float(value: object) -> float:
    assert isinstance(value, float)
    return value


def _ensure_algorithm(rows: Rows, owner: str, name: str, now: float) -> Algorithm:
    rows.execute(
        "INSERT INTO algorithms (id, owner, name, created_at)"
        " VALUES (?, (SELECT name FROM accounts WHERE name = ?), ?, ?) ON CONFLICT (owner, name) DO NOTHING",
        (str(uuid.uuid4()), owner, check_name(name, "an algorithm"), now),
    )
    query = f"SELECT {_ALGORITHM} FROM algorithms WHERE owner = ? AND name = ?"
    return _algorithm(rows.execute(query, (owner, name)).fetchone())


def _algorithm(row: Any) -> Algorithm:
    found = Algorithm(*row)
    tags, resources = tuple(json.loads(row[8])), stored(str(found.resources))
    return replace(found, tags=tags, resources=resources, pipeline_enabled=bool(found.pipeline_enabled))


def _newest_public(published: Sequence[Version], wanted: str) -> Version | None:
    """The newest public version in a range; `published` is in order, newest first."""
    prefix: tuple[int, ...] = ()
    if wanted not in {"", "latest"}:
        match = _RANGE.fullmatch(wanted)
        if not match:
            return None
        prefix = tuple(int(part) for part in match.groups() if part is not None)
    for version in published:
        if version.public and version.number and version.number[: len(prefix)] == prefix:
            return version
    return None
