-- A state directory's database as version 1.0 made it: PRAGMA user_version is 2, Alice's key is simGizpOmHmvGDJL2SpROOQQ067r.
BEGIN TRANSACTION;
CREATE TABLE accounts (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    created_at REAL NOT NULL
) WITHOUT ROWID;
INSERT INTO "accounts" VALUES('Alice',1.79597335621829724307e+09);
INSERT INTO "accounts" VALUES('demo',1.7959733562165389061e+09);
INSERT INTO "accounts" VALUES('jane',1.79597335621799087529e+09);
CREATE TABLE algorithms (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL COLLATE NOCASE REFERENCES accounts (name),
    name TEXT NOT NULL COLLATE NOCASE,
    created_at REAL NOT NULL,
    UNIQUE (owner, name)
) WITHOUT ROWID;
INSERT INTO "algorithms" VALUES('7b18ed5e-d2ad-4a5f-a6a8-3db59069755b','demo','Hello',1.79597335621652221676e+09);
INSERT INTO "algorithms" VALUES('b8900950-ad55-410b-88e6-d1f86699e512','Alice','Echo',1.79597335624122977255e+09);
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
INSERT INTO "builds" VALUES('4f9dc33e-a820-4df1-8c5d-d29871e80645','7b18ed5e-d2ad-4a5f-a6a8-3db59069755b','eb57e541eba0f80964e51d3f2b52df58a9080a4a','sources/eb57e541eba0f80964e51d3f2b52df58a9080a4a','','src.Hello','Source eb57e541eba0f80964e51d3f2b52df58a9080a4a, module src.Hello
Built demo/Hello
',1.7959733561218628883e+09,1.79597335621652221676e+09);
INSERT INTO "builds" VALUES('88b50425-3205-4274-b85c-0950877cdcce','b8900950-ad55-410b-88e6-d1f86699e512','e3544bf3b63d5e74dcfbf6c7a31278de31768d47','sources/e3544bf3b63d5e74dcfbf6c7a31278de31768d47','','src.Echo','Source e3544bf3b63d5e74dcfbf6c7a31278de31768d47, module src.Echo
Built Alice/Echo
',1.79597335628440260882e+09,1.79597335629240465165e+09);
INSERT INTO "builds" VALUES('b27a0dc4-a908-4b02-8130-9736f5af0242','b8900950-ad55-410b-88e6-d1f86699e512','b19c7fb159a80db37791a4409b6543711f230430','sources/b19c7fb159a80db37791a4409b6543711f230430','','src.Echo','Source b19c7fb159a80db37791a4409b6543711f230430, module src.Echo
Built Alice/Echo
',1.7959733562194283009e+09,1.79597335624122977255e+09);
CREATE TABLE collections (
    owner TEXT NOT NULL REFERENCES accounts (name),
    name TEXT NOT NULL,
    acl TEXT NOT NULL,
    created_at REAL NOT NULL,
    PRIMARY KEY (owner, name)
) WITHOUT ROWID;
INSERT INTO "collections" VALUES('Alice','papers','[]',1.79597335630999827386e+09);
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
CREATE TABLE keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL REFERENCES accounts (name),
    digest BLOB NOT NULL UNIQUE,
    mask TEXT NOT NULL,
    label TEXT NOT NULL,
    created_at REAL NOT NULL
);
INSERT INTO "keys" VALUES(1,'Alice',X'DB7854A6DC15F9D02FB50AA2856717A1755FCD415B1CE388D7F251466A804179','simGi...067r','default-key',1.79597335621847867962e+09);
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
    published_at REAL NOT NULL,
    UNIQUE (algorithm, major, minor, revision)
) WITHOUT ROWID;
INSERT INTO "versions" VALUES('1388c75e-fa6f-4233-a1d2-b90f9511a788','b8900950-ad55-410b-88e6-d1f86699e512',2,0,0,1,'88b50425-3205-4274-b85c-0950877cdcce',1.79597335629240465165e+09);
INSERT INTO "versions" VALUES('265cce95-0c65-4c69-a56f-57bdbc96cf7f','b8900950-ad55-410b-88e6-d1f86699e512',1,0,0,1,'b27a0dc4-a908-4b02-8130-9736f5af0242',1.79597335624122977255e+09);
INSERT INTO "versions" VALUES('3d1e6ccf-f1ff-40c0-913d-e885a9129eef','b8900950-ad55-410b-88e6-d1f86699e512',1,1,0,0,'b27a0dc4-a908-4b02-8130-9736f5af0242',1.79597335627268075942e+09);
INSERT INTO "versions" VALUES('6702c98d-3136-4bd6-8531-79ba7db6cba0','7b18ed5e-d2ad-4a5f-a6a8-3db59069755b',1,0,0,1,'4f9dc33e-a820-4df1-8c5d-d29871e80645',1.79597335621652221676e+09);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('keys',1);
COMMIT;
PRAGMA user_version = 2;
