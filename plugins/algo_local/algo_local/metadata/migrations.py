"""The schema of the SQLite file, and its migrations."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from algo_core.errors import ConfigError

if TYPE_CHECKING:
    import sqlite3

_FIRST = """
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE accounts (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    created_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL REFERENCES accounts (name),
    digest BLOB NOT NULL UNIQUE,
    mask TEXT NOT NULL,
    label TEXT NOT NULL,
    created_at REAL NOT NULL
);
CREATE TABLE algorithms (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL COLLATE NOCASE REFERENCES accounts (name),
    name TEXT NOT NULL COLLATE NOCASE,
    created_at REAL NOT NULL,
    UNIQUE (owner, name)
) WITHOUT ROWID;
CREATE TABLE builds (
    id TEXT PRIMARY KEY,
    algorithm TEXT NOT NULL REFERENCES algorithms (id),
    commit_hash TEXT NOT NULL,
    source TEXT NOT NULL,
    python TEXT NOT NULL,
    module TEXT NOT NULL,
    log TEXT NOT NULL,
    started_at REAL NOT NULL,
    finished_at REAL NOT NULL,
    UNIQUE (algorithm, commit_hash)
) WITHOUT ROWID;
CREATE TABLE versions (
    id TEXT PRIMARY KEY,
    algorithm TEXT NOT NULL REFERENCES algorithms (id),
    major INTEGER NOT NULL,
    minor INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    public INTEGER NOT NULL,
    build TEXT NOT NULL REFERENCES builds (id),
    published_at REAL NOT NULL,
    UNIQUE (algorithm, major, minor, revision)
) WITHOUT ROWID;
CREATE TABLE collections (
    owner TEXT NOT NULL REFERENCES accounts (name),
    name TEXT NOT NULL,
    acl TEXT NOT NULL,
    created_at REAL NOT NULL,
    PRIMARY KEY (owner, name)
) WITHOUT ROWID;
CREATE TABLE digests (
    path TEXT PRIMARY KEY,
    identity TEXT NOT NULL,
    md5 TEXT NOT NULL
) WITHOUT ROWID;
"""
_WITH_CONNECTORS = """
CREATE TABLE connectors (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL REFERENCES accounts (name),
    scheme TEXT NOT NULL,
    label TEXT NOT NULL,
    path TEXT NOT NULL,
    writable INTEGER NOT NULL,
    is_default INTEGER NOT NULL,
    created_at REAL NOT NULL,
    UNIQUE (owner, scheme, label)
) WITHOUT ROWID;
"""
_WITH_NETWORK_ACCESS = """
ALTER TABLE algorithms ADD COLUMN network_access TEXT NOT NULL DEFAULT 'full';
"""
_WITH_MANAGEMENT = """
ALTER TABLE accounts ADD COLUMN id TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN is_organization INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN is_administrator INTEGER NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN email TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN fullname TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN company_name TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN company_role TEXT NOT NULL DEFAULT '';
UPDATE accounts SET id = new_id();
UPDATE accounts SET is_administrator = 1 WHERE name = (SELECT value FROM settings WHERE name = 'account');
CREATE UNIQUE INDEX accounts_by_id ON accounts (id);

CREATE TABLE organization_types (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE
) WITHOUT ROWID;
INSERT INTO organization_types VALUES
    ('d0c85ea6-ddfa-11ea-a0c8-12a811be4db3', 'basic'),
    ('d0bff917-ddfa-11ea-a0c8-12a811be4db3', 'legacy'),
    ('d0c9d825-ddfa-11ea-a0c8-12a811be4db3', 'pro');
CREATE TABLE organizations (
    name TEXT PRIMARY KEY COLLATE NOCASE REFERENCES accounts (name),
    type TEXT NOT NULL REFERENCES organization_types (id),
    external_id TEXT UNIQUE,
    attributes TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE members (
    organization TEXT NOT NULL COLLATE NOCASE REFERENCES organizations (name),
    account TEXT NOT NULL COLLATE NOCASE REFERENCES accounts (name),
    role TEXT NOT NULL,
    since REAL NOT NULL,
    PRIMARY KEY (organization, account)
) WITHOUT ROWID;
CREATE INDEX members_by_account ON members (account);

ALTER TABLE keys ADD COLUMN kind TEXT NOT NULL DEFAULT 'AlgorithmKey';
ALTER TABLE keys ADD COLUMN permissions TEXT NOT NULL DEFAULT '{}';
UPDATE keys SET permissions =
    '{"allow_data":true,"allow_data_write":true,"allow_algo":true,"allow_web_algo":true,"allow_algo_management":true,'
    || '"referer_host":"","algo_acl":["algo://*"]}';
ALTER TABLE keys ADD COLUMN username TEXT REFERENCES accounts (name);
ALTER TABLE keys ADD COLUMN expires_at REAL;
ALTER TABLE keys ADD COLUMN last_used_at REAL;

ALTER TABLE algorithms ADD COLUMN label TEXT NOT NULL DEFAULT '';
ALTER TABLE algorithms ADD COLUMN summary TEXT NOT NULL DEFAULT '';
ALTER TABLE algorithms ADD COLUMN tagline TEXT NOT NULL DEFAULT '';
ALTER TABLE algorithms ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE algorithms ADD COLUMN sample_input TEXT NOT NULL DEFAULT '';
ALTER TABLE algorithms ADD COLUMN callability TEXT NOT NULL DEFAULT 'private';
ALTER TABLE algorithms ADD COLUMN source_visibility TEXT NOT NULL DEFAULT 'closed';
ALTER TABLE algorithms ADD COLUMN license TEXT NOT NULL DEFAULT 'apl';
ALTER TABLE algorithms ADD COLUMN language TEXT NOT NULL DEFAULT 'python3';
ALTER TABLE algorithms ADD COLUMN environment TEXT NOT NULL DEFAULT 'cpu';
ALTER TABLE algorithms ADD COLUMN package_set TEXT;
ALTER TABLE algorithms ADD COLUMN algorithm_environment TEXT;
ALTER TABLE algorithms ADD COLUMN pipeline_enabled INTEGER NOT NULL DEFAULT 1;
ALTER TABLE algorithms ADD COLUMN royalty_microcredits INTEGER NOT NULL DEFAULT 0;
ALTER TABLE algorithms ADD COLUMN default_collection TEXT;

CREATE TABLE new_builds (
    id TEXT PRIMARY KEY,
    algorithm TEXT NOT NULL REFERENCES algorithms (id),
    commit_hash TEXT NOT NULL,
    status TEXT NOT NULL,
    source TEXT NOT NULL DEFAULT '',
    python TEXT NOT NULL DEFAULT '',
    module TEXT NOT NULL DEFAULT '',
    log TEXT NOT NULL DEFAULT '',
    started_at REAL NOT NULL,
    finished_at REAL
) WITHOUT ROWID;
INSERT INTO new_builds
    SELECT id, algorithm, commit_hash, 'succeeded', source, python, module, log, started_at, finished_at FROM builds;
DROP TABLE builds;
ALTER TABLE new_builds RENAME TO builds;
CREATE UNIQUE INDEX builds_that_run ON builds (algorithm, commit_hash) WHERE status = 'succeeded';
CREATE INDEX builds_by_time ON builds (algorithm, started_at);

ALTER TABLE versions ADD COLUMN release_notes TEXT NOT NULL DEFAULT '';
ALTER TABLE versions ADD COLUMN sample_input TEXT NOT NULL DEFAULT '';
ALTER TABLE versions ADD COLUMN sample_output TEXT NOT NULL DEFAULT '';
ALTER TABLE versions ADD COLUMN insights_enabled INTEGER NOT NULL DEFAULT 0;
ALTER TABLE versions ADD COLUMN unpublished_at REAL;

ALTER TABLE collections ADD COLUMN id TEXT NOT NULL DEFAULT '';
UPDATE collections SET id = new_id();
CREATE UNIQUE INDEX collections_by_id ON collections (id);

CREATE TABLE secrets (
    id TEXT PRIMARY KEY,
    algorithm TEXT NOT NULL REFERENCES algorithms (id),
    short_name TEXT NOT NULL,
    description TEXT NOT NULL,
    secret_key TEXT NOT NULL,
    value BLOB NOT NULL,
    created_at REAL NOT NULL,
    modified_at REAL NOT NULL,
    UNIQUE (algorithm, secret_key)
) WITHOUT ROWID;
CREATE TABLE notifications (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL COLLATE NOCASE REFERENCES accounts (name),
    type TEXT NOT NULL,
    context TEXT NOT NULL,
    created_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX notifications_by_account ON notifications (account, created_at);
CREATE TABLE event_listeners (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL COLLATE NOCASE REFERENCES accounts (name),
    attributes TEXT NOT NULL,
    credentials BLOB NOT NULL
);
CREATE TABLE invites (
    code TEXT PRIMARY KEY,
    comments TEXT NOT NULL,
    signup_credits INTEGER NOT NULL,
    expires_at REAL,
    created_at REAL NOT NULL,
    created_by TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE reservations (
    id TEXT PRIMARY KEY,
    algorithm TEXT NOT NULL REFERENCES algorithms (id),
    calling_user TEXT NOT NULL COLLATE NOCASE REFERENCES accounts (name),
    version_type TEXT NOT NULL,
    version_identifier TEXT NOT NULL,
    slots INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE features (
    name TEXT NOT NULL,
    account TEXT NOT NULL COLLATE NOCASE,
    enabled INTEGER NOT NULL,
    PRIMARY KEY (name, account)
) WITHOUT ROWID;
CREATE TABLE configuration (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    media_type TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL
) WITHOUT ROWID;
"""
_WITH_REQUESTS = """
ALTER TABLE algorithms ADD COLUMN request_records TEXT NOT NULL DEFAULT 'full';
CREATE TABLE requests (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL COLLATE NOCASE,
    algorithm TEXT NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    created_at REAL NOT NULL,
    state TEXT NOT NULL,
    parent TEXT NOT NULL,
    is_void INTEGER NOT NULL,
    platform TEXT NOT NULL,
    worker TEXT NOT NULL,
    started_at REAL,
    finished_at REAL,
    duration REAL,
    input_type TEXT,
    input_size INTEGER,
    input_digest TEXT,
    output_type TEXT,
    output_size INTEGER,
    output_digest TEXT,
    printed TEXT NOT NULL,
    error TEXT NOT NULL,
    idempotency_key TEXT,
    key_digest TEXT NOT NULL,
    cancel INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX requests_by_account ON requests (account, created_at);
CREATE INDEX requests_by_algorithm ON requests (algorithm, created_at);
CREATE INDEX requests_by_time ON requests (created_at);
CREATE INDEX requests_unfinished ON requests (platform) WHERE state IN ('queued', 'running');
CREATE UNIQUE INDEX requests_by_key ON requests (account, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE TABLE request_contents (
    digest TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    used_at REAL NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX request_contents_by_use ON request_contents (used_at);
"""
_WITH_MEDIA_TYPES = """
CREATE TABLE media_types (
    path TEXT PRIMARY KEY,
    identity TEXT NOT NULL,
    type TEXT NOT NULL
) WITHOUT ROWID;
"""
_WITH_SCMS = """
CREATE TABLE scms (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    provider TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    is_default INTEGER NOT NULL,
    urls TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE scm_tokens (
    scm TEXT NOT NULL REFERENCES scms (id),
    account TEXT NOT NULL COLLATE NOCASE,
    value BLOB NOT NULL,
    PRIMARY KEY (scm, account)
) WITHOUT ROWID;
CREATE TABLE algorithm_sources (
    algorithm TEXT PRIMARY KEY REFERENCES algorithms (id),
    scm TEXT NOT NULL REFERENCES scms (id),
    repository TEXT NOT NULL,
    webhook_secret TEXT NOT NULL
) WITHOUT ROWID;
"""
_WITH_WEBHOOKS = """
CREATE TABLE request_webhooks (
    request TEXT PRIMARY KEY,
    account TEXT NOT NULL COLLATE NOCASE,
    url TEXT NOT NULL,
    link TEXT NOT NULL,
    with_output INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at REAL NOT NULL,
    problem TEXT NOT NULL,
    delivered_at REAL
);
CREATE INDEX request_webhooks_waiting ON request_webhooks (due_at) WHERE state = 'waiting';
"""
_WITH_REPEATS = "ALTER TABLE requests ADD COLUMN repeats TEXT NOT NULL DEFAULT ''"
_WITH_WORKERS = """
ALTER TABLE algorithms ADD COLUMN min_workers INTEGER NOT NULL DEFAULT 0;
ALTER TABLE algorithms ADD COLUMN max_workers INTEGER NOT NULL DEFAULT 0
"""
_WITH_SCHEDULES = """
CREATE TABLE schedules (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL COLLATE NOCASE REFERENCES accounts (name),
    algorithm TEXT NOT NULL,
    version TEXT NOT NULL,
    cron TEXT NOT NULL,
    timezone TEXT NOT NULL,
    content_type TEXT NOT NULL,
    input TEXT NOT NULL,
    created_at REAL NOT NULL,
    next_at REAL NOT NULL,
    last_at REAL,
    last_request TEXT NOT NULL,
    problem TEXT NOT NULL,
    missed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX schedules_by_time ON schedules (next_at);
CREATE INDEX schedules_by_owner ON schedules (owner, created_at);
"""
_WITH_INSIGHTS = """
ALTER TABLE requests ADD COLUMN insights TEXT NOT NULL DEFAULT '';
CREATE INDEX requests_with_insights ON requests (algorithm, created_at) WHERE insights != '';
UPDATE versions SET insights_enabled = 1;
CREATE TABLE new_webhooks (
    request TEXT NOT NULL,
    account TEXT NOT NULL COLLATE NOCASE,
    url TEXT NOT NULL,
    link TEXT NOT NULL,
    with_output INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at REAL NOT NULL,
    problem TEXT NOT NULL,
    delivered_at REAL,
    kind TEXT NOT NULL DEFAULT 'call',
    PRIMARY KEY (request, kind)
);
INSERT INTO new_webhooks SELECT *, 'call' FROM request_webhooks;
DROP TABLE request_webhooks;
ALTER TABLE new_webhooks RENAME TO request_webhooks;
CREATE INDEX request_webhooks_waiting ON request_webhooks (due_at) WHERE state = 'waiting';
"""
"""No version of before has kept insights, whatever it was told about them."""
_WITH_INCOMING_WEBHOOKS = """
CREATE TABLE incoming_webhooks (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL COLLATE NOCASE REFERENCES accounts (name),
    algorithm TEXT NOT NULL,
    version TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE,
    created_at REAL NOT NULL,
    last_at REAL,
    last_request TEXT NOT NULL,
    problem TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX incoming_webhooks_by_owner ON incoming_webhooks (owner, created_at);
"""
_WITH_STATES = "CREATE INDEX requests_by_state ON requests (state, created_at) WHERE state != 'done'"
_WITH_PAGES = """
DROP INDEX requests_by_time;
DROP INDEX requests_by_account;
DROP INDEX requests_by_algorithm;
DROP INDEX requests_by_state;
CREATE INDEX requests_by_time ON requests (created_at) WHERE id != 'by_time';
CREATE INDEX requests_by_state ON requests (state, created_at) WHERE id != 'by_state';
CREATE INDEX requests_by_account ON requests (account, state, created_at) WHERE id != 'by_account';
CREATE INDEX requests_by_algorithm ON requests (algorithm, state, created_at) WHERE id != 'by_algorithm';
CREATE INDEX requests_by_account_and_algorithm ON requests (account, algorithm, state, created_at)
    WHERE id != 'by_account_and_algorithm';
CREATE INDEX requests_by_parent ON requests (parent, account, state, created_at) WHERE parent != ''
"""
"""The conditions hold for each call: a query says with one which index it wants."""
_WITH_RESUMPTION = "ALTER TABLE requests ADD COLUMN resumption TEXT NOT NULL DEFAULT ''"
_WITH_OPTIONS = "ALTER TABLE connectors ADD COLUMN options BLOB"
_WITH_RESOURCES = "ALTER TABLE algorithms ADD COLUMN resources TEXT NOT NULL DEFAULT ''"
_WITH_ATTEMPTS = "ALTER TABLE builds ADD COLUMN attempts INTEGER"
MIGRATIONS = (
    _FIRST,
    _WITH_CONNECTORS,
    _WITH_NETWORK_ACCESS,
    _WITH_MANAGEMENT,
    _WITH_REQUESTS,
    _WITH_MEDIA_TYPES,
    _WITH_SCMS,
    _WITH_WEBHOOKS,
    _WITH_REPEATS,
    _WITH_WORKERS,
    _WITH_SCHEDULES,
    _WITH_INSIGHTS,
    _WITH_INCOMING_WEBHOOKS,
    _WITH_STATES,
    _WITH_PAGES,
    _WITH_RESUMPTION,
    _WITH_OPTIONS,
    _WITH_RESOURCES,
    _WITH_ATTEMPTS,
)
"""The migration to each version of the schema from the previous one; a published migration never changes."""


def upgrade(connection: sqlite3.Connection, to: int = len(MIGRATIONS)) -> int:
    """Bring the schema to a version inside a transaction of a connection that does not enforce references.

    Returns the version that it has then.

    Raises:
        ConfigError: if rows refer to what does not exist, which no version of the platform writes.
    """
    connection.create_function("new_id", 0, lambda: str(uuid.uuid4()))
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    for migration in MIGRATIONS[version:to]:
        for statement in migration.split(";"):
            connection.execute(statement)
        version += 1
    if connection.execute("PRAGMA foreign_key_check").fetchone():
        raise ConfigError(
            "The embedded platform's database is damaged: rows refer to others that do not exist",
            "Restore it from a copy, or start over with: algo local reset",
        )
    connection.execute(f"PRAGMA user_version={version}")
    return version
