-- The same database after this version's migrations to schema 4.
BEGIN TRANSACTION;
CREATE TABLE accounts (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    created_at REAL NOT NULL
, id TEXT NOT NULL DEFAULT '', is_organization INTEGER NOT NULL DEFAULT 0, is_administrator INTEGER NOT NULL DEFAULT 0, email TEXT NOT NULL DEFAULT '', fullname TEXT NOT NULL DEFAULT '', company_name TEXT NOT NULL DEFAULT '', company_role TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
INSERT INTO "accounts" VALUES('Alice',1.79597335621829724307e+09,'32d50cd2-5696-4738-9e43-817d939a516d',0,0,'','','','');
INSERT INTO "accounts" VALUES('demo',1.7959733562165389061e+09,'240b9649-0a81-48bf-b93c-b015bb7c16ad',0,0,'','','','');
INSERT INTO "accounts" VALUES('jane',1.79597335621799087529e+09,'0f9a16fb-98fd-448a-828c-fa8e6b62c45b',0,1,'','','','');
CREATE TABLE algorithms (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL COLLATE NOCASE REFERENCES accounts (name),
    name TEXT NOT NULL COLLATE NOCASE,
    created_at REAL NOT NULL, network_access TEXT NOT NULL DEFAULT 'full', label TEXT NOT NULL DEFAULT '', summary TEXT NOT NULL DEFAULT '', tagline TEXT NOT NULL DEFAULT '', tags TEXT NOT NULL DEFAULT '[]', sample_input TEXT NOT NULL DEFAULT '', callability TEXT NOT NULL DEFAULT 'private', source_visibility TEXT NOT NULL DEFAULT 'closed', license TEXT NOT NULL DEFAULT 'apl', language TEXT NOT NULL DEFAULT 'python3', environment TEXT NOT NULL DEFAULT 'cpu', package_set TEXT, algorithm_environment TEXT, pipeline_enabled INTEGER NOT NULL DEFAULT 1, royalty_microcredits INTEGER NOT NULL DEFAULT 0, default_collection TEXT,
    UNIQUE (owner, name)
) WITHOUT ROWID;
INSERT INTO "algorithms" VALUES('7b18ed5e-d2ad-4a5f-a6a8-3db59069755b','demo','Hello',1.79597335621652221676e+09,'full','','','','[]','','private','closed','apl','python3','cpu',NULL,NULL,1,0,NULL);
INSERT INTO "algorithms" VALUES('b8900950-ad55-410b-88e6-d1f86699e512','Alice','Echo',1.79597335624122977255e+09,'full','','','','[]','','private','closed','apl','python3','cpu',NULL,NULL,1,0,NULL);
CREATE TABLE "builds" (
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
INSERT INTO "builds" VALUES('4f9dc33e-a820-4df1-8c5d-d29871e80645','7b18ed5e-d2ad-4a5f-a6a8-3db59069755b','eb57e541eba0f80964e51d3f2b52df58a9080a4a','succeeded','sources/eb57e541eba0f80964e51d3f2b52df58a9080a4a','','src.Hello','Source eb57e541eba0f80964e51d3f2b52df58a9080a4a, module src.Hello
Built demo/Hello
',1.7959733561218628883e+09,1.79597335621652221676e+09);
INSERT INTO "builds" VALUES('88b50425-3205-4274-b85c-0950877cdcce','b8900950-ad55-410b-88e6-d1f86699e512','e3544bf3b63d5e74dcfbf6c7a31278de31768d47','succeeded','sources/e3544bf3b63d5e74dcfbf6c7a31278de31768d47','','src.Echo','Source e3544bf3b63d5e74dcfbf6c7a31278de31768d47, module src.Echo
Built Alice/Echo
',1.79597335628440260882e+09,1.79597335629240465165e+09);
INSERT INTO "builds" VALUES('b27a0dc4-a908-4b02-8130-9736f5af0242','b8900950-ad55-410b-88e6-d1f86699e512','b19c7fb159a80db37791a4409b6543711f230430','succeeded','sources/b19c7fb159a80db37791a4409b6543711f230430','','src.Echo','Source b19c7fb159a80db37791a4409b6543711f230430, module src.Echo
Built Alice/Echo
',1.7959733562194283009e+09,1.79597335624122977255e+09);
CREATE TABLE collections (
    owner TEXT NOT NULL REFERENCES accounts (name),
    name TEXT NOT NULL,
    acl TEXT NOT NULL,
    created_at REAL NOT NULL, id TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (owner, name)
) WITHOUT ROWID;
INSERT INTO "collections" VALUES('Alice','papers','[]',1.79597335630999827386e+09,'56f52c49-f59a-423e-a480-cc99a189be09');
CREATE TABLE configuration (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL,
    media_type TEXT NOT NULL,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL
) WITHOUT ROWID;
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
INSERT INTO "connectors" VALUES('dde837d4-7ef5-4362-a531-eff9969ae3ef','Alice','s3','store','b/*',0,1,1.79597335631990957264e+09);
CREATE TABLE digests (
    path TEXT PRIMARY KEY,
    identity TEXT NOT NULL,
    md5 TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE event_listeners (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL COLLATE NOCASE REFERENCES accounts (name),
    attributes TEXT NOT NULL,
    credentials BLOB NOT NULL
);
CREATE TABLE features (
    name TEXT NOT NULL,
    account TEXT NOT NULL COLLATE NOCASE,
    enabled INTEGER NOT NULL,
    PRIMARY KEY (name, account)
) WITHOUT ROWID;
CREATE TABLE invites (
    code TEXT PRIMARY KEY,
    comments TEXT NOT NULL,
    signup_credits INTEGER NOT NULL,
    expires_at REAL,
    created_at REAL NOT NULL,
    created_by TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL REFERENCES accounts (name),
    digest BLOB NOT NULL UNIQUE,
    mask TEXT NOT NULL,
    label TEXT NOT NULL,
    created_at REAL NOT NULL
, kind TEXT NOT NULL DEFAULT 'AlgorithmKey', permissions TEXT NOT NULL DEFAULT '{}', username TEXT REFERENCES accounts (name), expires_at REAL, last_used_at REAL);
INSERT INTO "keys" VALUES(1,'Alice',X'DB7854A6DC15F9D02FB50AA2856717A1755FCD415B1CE388D7F251466A804179','simGi...067r','default-key',1.79597335621847867962e+09,'AlgorithmKey','{"allow_data":true,"allow_data_write":true,"allow_algo":true,"allow_web_algo":true,"allow_algo_management":true,"referer_host":"","algo_acl":["algo://*"]}',NULL,NULL,NULL);
CREATE TABLE members (
    organization TEXT NOT NULL COLLATE NOCASE REFERENCES organizations (name),
    account TEXT NOT NULL COLLATE NOCASE REFERENCES accounts (name),
    role TEXT NOT NULL,
    since REAL NOT NULL,
    PRIMARY KEY (organization, account)
) WITHOUT ROWID;
CREATE TABLE notifications (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL COLLATE NOCASE REFERENCES accounts (name),
    type TEXT NOT NULL,
    context TEXT NOT NULL,
    created_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE organization_types (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE
) WITHOUT ROWID;
INSERT INTO "organization_types" VALUES('d0bff917-ddfa-11ea-a0c8-12a811be4db3','legacy');
INSERT INTO "organization_types" VALUES('d0c85ea6-ddfa-11ea-a0c8-12a811be4db3','basic');
INSERT INTO "organization_types" VALUES('d0c9d825-ddfa-11ea-a0c8-12a811be4db3','pro');
CREATE TABLE organizations (
    name TEXT PRIMARY KEY COLLATE NOCASE REFERENCES accounts (name),
    type TEXT NOT NULL REFERENCES organization_types (id),
    external_id TEXT UNIQUE,
    attributes TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE reservations (
    id TEXT PRIMARY KEY,
    algorithm TEXT NOT NULL REFERENCES algorithms (id),
    calling_user TEXT NOT NULL COLLATE NOCASE REFERENCES accounts (name),
    version_type TEXT NOT NULL,
    version_identifier TEXT NOT NULL,
    slots INTEGER NOT NULL
) WITHOUT ROWID;
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
CREATE TABLE settings (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "settings" VALUES('account','jane');
CREATE TABLE versions (
    id TEXT PRIMARY KEY,
    algorithm TEXT NOT NULL REFERENCES algorithms (id),
    major INTEGER NOT NULL,
    minor INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    public INTEGER NOT NULL,
    build TEXT NOT NULL REFERENCES builds (id),
    published_at REAL NOT NULL, release_notes TEXT NOT NULL DEFAULT '', sample_input TEXT NOT NULL DEFAULT '', sample_output TEXT NOT NULL DEFAULT '', insights_enabled INTEGER NOT NULL DEFAULT 0, unpublished_at REAL,
    UNIQUE (algorithm, major, minor, revision)
) WITHOUT ROWID;
INSERT INTO "versions" VALUES('1388c75e-fa6f-4233-a1d2-b90f9511a788','b8900950-ad55-410b-88e6-d1f86699e512',2,0,0,1,'88b50425-3205-4274-b85c-0950877cdcce',1.79597335629240465165e+09,'','','',0,NULL);
INSERT INTO "versions" VALUES('265cce95-0c65-4c69-a56f-57bdbc96cf7f','b8900950-ad55-410b-88e6-d1f86699e512',1,0,0,1,'b27a0dc4-a908-4b02-8130-9736f5af0242',1.79597335624122977255e+09,'','','',0,NULL);
INSERT INTO "versions" VALUES('3d1e6ccf-f1ff-40c0-913d-e885a9129eef','b8900950-ad55-410b-88e6-d1f86699e512',1,1,0,0,'b27a0dc4-a908-4b02-8130-9736f5af0242',1.79597335627268075942e+09,'','','',0,NULL);
INSERT INTO "versions" VALUES('6702c98d-3136-4bd6-8531-79ba7db6cba0','7b18ed5e-d2ad-4a5f-a6a8-3db59069755b',1,0,0,1,'4f9dc33e-a820-4df1-8c5d-d29871e80645',1.79597335621652221676e+09,'','','',0,NULL);
CREATE UNIQUE INDEX accounts_by_id ON accounts (id);
CREATE INDEX members_by_account ON members (account);
CREATE UNIQUE INDEX builds_that_run ON builds (algorithm, commit_hash) WHERE status = 'succeeded';
CREATE INDEX builds_by_time ON builds (algorithm, started_at);
CREATE UNIQUE INDEX collections_by_id ON collections (id);
CREATE INDEX notifications_by_account ON notifications (account, created_at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('keys',1);
COMMIT;
PRAGMA user_version=4;
