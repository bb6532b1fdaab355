"""PostgreSQL beyond the contract: the schema, what is refused by name, and connections and servers that go away."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support import ports
from support.postgresql import PostgresqlServer, database_of

from algo_core.errors import AlgoError, ConfigError, ExitCode
from algo_core.testing import Home
from algo_local.data.connectors import Connectors
from algo_local.metadata.accounts import Accounts
from algo_local.metadata.database import Database
from algo_local.metadata.postgresql import connections, schema
from algo_local.metadata.postgresql.database import PostgresqlDatabase, _Token
from algo_local.metadata.postgresql.failures import connection_failure
from algo_local.metadata.sqlite import SqliteDatabase
from algo_local.metadata.vault import Vault
from algo_local.refusals import StorageUnavailable


@pytest.fixture
def url(postgresql: PostgresqlServer) -> Iterator[str]:
    url = postgresql.lend()
    yield url
    postgresql.take_back(url)


@pytest.fixture
def database(url: str) -> Iterator[PostgresqlDatabase]:
    database = PostgresqlDatabase(url)
    yield database
    database.close()


@pytest.fixture
def new_url(postgresql: PostgresqlServer) -> Iterator[str]:
    """An empty database without the platform's schema."""
    url = postgresql.create()
    yield url
    postgresql.drop(url)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up soon."""
    monkeypatch.setattr(connections, "RETRY_SECONDS", 0.3)
    monkeypatch.setattr("algo_local.metadata.postgresql.database.RETRY_SECONDS", 0.3)


def count(database: Database) -> int:
    with database.read() as rows:
        found: int = rows.execute("SELECT count(*) FROM settings").fetchone()[0]
    return found


def put(database: Database, name: str) -> None:
    with database.write() as rows:
        rows.execute("INSERT INTO settings VALUES (?, 'x')", (name,))


def refusal(url: str) -> AlgoError:
    with closing(PostgresqlDatabase(url)) as database, pytest.raises(AlgoError) as caught:
        count(database)
    return caught.value


# The schema


def test_both_databases_have_the_same_tables_and_columns(database: PostgresqlDatabase, tmp_path: Path) -> None:
    """A migration of one is a migration of the other."""
    types = {"TEXT": {"text", "citext"}, "INTEGER": {"bigint"}, "REAL": {"double precision"}, "BLOB": {"bytea"}}
    query = (
        "SELECT table_name, column_name, CASE data_type WHEN 'USER-DEFINED' THEN udt_name ELSE data_type END,"
        " is_nullable = 'NO', collation_name FROM information_schema.columns WHERE table_schema = 'public'"
        " ORDER BY table_name, ordinal_position"
    )
    theirs: dict[str, dict[str, Any]] = {}
    with database.read() as rows:
        for table, column, kind, is_required, collation in rows.execute(query):
            if table not in schema.OWN_TABLES:
                theirs.setdefault(table, {})[column] = (kind, is_required)
                assert collation == ("C" if kind in types["TEXT"] else None), f"{table}.{column} sorts by code points"
    file = SqliteDatabase(tmp_path / "x.sqlite3")
    count(file)
    with closing(sqlite3.connect(file.path)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        ours = {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for name in names}
    ours.pop("sqlite_sequence")
    assert ours.keys() == theirs.keys()
    for table, columns in ours.items():
        assert [column[1] for column in columns] == list(theirs[table]), table
        for _, column, kind, is_required, _, is_key in columns:
            found, found_required = theirs[table][column]
            assert found in types[kind], f"{table}.{column}"
            assert bool(is_required or is_key) == bool(found_required), f"{table}.{column}"


def test_each_table_whose_rows_are_remembered_notes_changes(database: PostgresqlDatabase) -> None:
    query = "SELECT DISTINCT event_object_table FROM information_schema.triggers WHERE trigger_name = 'note_change'"
    with database.read() as rows:
        noted = {name for (name,) in rows.execute(query)}
        tables = {name for (name,) in rows.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert tables - noted - schema.OWN_TABLES == {"digests", "requests", "request_contents", "request_webhooks"}


def test_a_newer_schema_is_refused_by_name(new_url: str) -> None:
    with closing(PostgresqlDatabase(new_url)) as database:
        count(database)
    with psycopg.connect(new_url) as connection:
        connection.execute("UPDATE algo_schema SET version_num = '9999'")
    error = refusal(new_url)
    assert isinstance(error, ConfigError)
    assert "newer algo-local (schema 9999" in error.message
    assert "pip install --upgrade algo-local" in (error.hint or "")


def test_a_foreign_database_is_refused_and_left_as_it_is(new_url: str) -> None:
    with psycopg.connect(new_url) as connection:
        connection.execute("CREATE TABLE accounts (mine TEXT)")
    error = refusal(new_url)
    assert isinstance(error, ConfigError)
    assert f"{database_of(new_url)}" in error.message
    assert "accounts" in error.message
    with psycopg.connect(new_url) as connection:
        assert connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall() == [
            ("accounts",)
        ]


def test_an_encoding_that_cannot_hold_every_text_is_refused(postgresql: PostgresqlServer) -> None:
    with postgresql.administration() as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'")
    error = refusal(postgresql.url("latin"))
    assert isinstance(error, ConfigError)
    assert "encoding LATIN1" in error.message


def test_a_migration_that_fails_leaves_nothing(new_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a user who may not make tables; with the right it works."""
    with psycopg.connect(new_url) as connection:
        connection.execute("DROP ROLE IF EXISTS weak")
        connection.execute("CREATE ROLE weak LOGIN")
        connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    weak = new_url.replace("algo@", "weak@")
    error = refusal(weak)
    assert isinstance(error, ConfigError)
    assert "lacks a permission" in error.message
    with psycopg.connect(new_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
        connection.execute(f"GRANT CREATE ON DATABASE {database_of(new_url)} TO weak")
        connection.execute("GRANT CREATE ON SCHEMA public TO weak")
    with closing(PostgresqlDatabase(weak)) as database:
        assert count(database) == 0


# What cannot be opened


@pytest.fixture
def closed_port() -> Iterator[int]:
    with ports.closed_port() as port:
        yield port


def test_a_server_that_does_not_answer_ends_the_start_by_name(algo_home: Home, closed_port: int) -> None:
    url = f"postgresql://jane:hush@127.0.0.1:{closed_port}/algo"
    for command in (["serve", "--port", "0", "--metadata", url], ["status"]):
        if command == ["status"]:
            algo_home.environ["ALGO_LOCAL_METADATA"] = url
        done = algo_home.run("local", *command)
        assert done.code == ExitCode.NETWORK, done.stderr
        assert f"127.0.0.1:{closed_port}/algo cannot be reached" in done.stderr
        assert "Serving" not in done.stderr
        assert "hush" not in f"{done.stderr}{done.stdout!r}"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda url: url.replace("algo@", "nobody:hush@"), 'role "nobody" does not exist'),
        (lambda url: url.replace("@/t", "@/missing"), "does not exist"),
    ],
)
def test_what_the_server_refuses_is_wrong_configuration(url: str, change: Callable[[str], str], told: str) -> None:
    error = refusal(change(url))
    assert isinstance(error, ConfigError)
    assert told in error.message
    assert "hush" not in f"{error} {error.hint}"


@pytest.mark.parametrize(
    "bad",
    [
        "postgresql://jane:hu@hush@db/algo",
        "postgresql://jane:a/hush@db/algo",
        "postgresql://jane:a?hush@db/algo",
        "postgresql://jane:a#hush@db/algo",
        "postgresql://jane:hush@db:portal/algo",
        "postgresql://jane:hush@db/algo?no_such_parameter=1",
        "postgresql://jane:hush%zz@db/algo",
        "postgresql://jane:hush@[::1/algo",
    ],
)
def test_a_url_that_is_wrong_is_refused_without_its_password(bad: str) -> None:
    error = refusal(bad)
    assert error.exit_code == ExitCode.CONFIGURATION
    assert "hush" not in f"{error} {error.hint}"
    assert "db" in error.message or "::1" in error.message


WITHOUT = """
import sys
from pathlib import Path
sys.modules[sys.argv[1]] = None
from algo_core.errors import ConfigError
from algo_local.metadata.opening import open_database
from algo_local.state import State
try:
    open_database(State(Path("x"), "postgresql://jane:hush@db/algo"))
except ConfigError as error:
    print(error.message, error.hint)
"""


@pytest.mark.parametrize("package", ["sqlalchemy", "psycopg", "alembic"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(package: str) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT, package], capture_output=True, text=True)
    assert "pip install 'algo-local[postgres]'" in done.stdout, done.stderr
    assert "hush" not in done.stdout


# What goes away


def end_connections(postgresql: PostgresqlServer, url: str) -> None:
    with postgresql.administration() as connection:
        query = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s"
        connection.execute(query, (database_of(url),))


def test_lost_connections_are_made_again_before_anything_is_done(
    database: PostgresqlDatabase, postgresql: PostgresqlServer, url: str
) -> None:
    put(database, "a")
    for lost in range(3):
        end_connections(postgresql, url)
        if lost % 2:
            put(database, f"b{lost}")
        with database.read() as rows:
            assert rows.execute("SELECT 1").fetchone() == (1,)
            end_connections(postgresql, url)
            assert rows.execute("SELECT 2").fetchone() == (2,), "queries are asked again"
    assert count(database) == 2


def test_a_connection_lost_inside_a_transaction_leaves_nothing(
    database: PostgresqlDatabase, postgresql: PostgresqlServer, url: str
) -> None:
    with pytest.raises(StorageUnavailable), database.write() as rows:
        rows.execute("INSERT INTO settings VALUES ('a', 'x')")
        end_connections(postgresql, url)
        rows.execute("INSERT INTO settings VALUES ('b', 'x')")
    with pytest.raises(StorageUnavailable), database.write() as rows:
        rows.execute("INSERT INTO settings VALUES ('a', 'x')")
        end_connections(postgresql, url)
    with pytest.raises(ValueError), database.write() as rows:
        rows.execute("INSERT INTO settings VALUES ('a', 'x')")
        end_connections(postgresql, url)
        raise ValueError
    assert count(database) == 0
    put(database, "a")
    assert count(database) == 1


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_commit_whose_answer_is_lost_is_looked_up(
    database: PostgresqlDatabase,
    postgresql: PostgresqlServer,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    is_committed: bool,
) -> None:
    """The connection ends when the server has committed, or when it is just about to; the answer is never a guess."""
    original = psycopg.Connection.execute

    def lose(connection: Any, query: Any, *values: Any, **options: Any) -> Any:
        if query == "COMMIT":
            monkeypatch.undo()
            if is_committed:
                original(connection, query)
            end_connections(postgresql, url)
        return original(connection, query, *values, **options)

    put(database, "before")
    monkeypatch.setattr(psycopg.Connection, "execute", lose)
    if is_committed:
        put(database, "a")
    else:
        with pytest.raises(StorageUnavailable):
            put(database, "a")
    assert count(database) == 1 + is_committed
    put(database, "after")


def test_a_transaction_in_which_a_statement_failed_is_not_taken_for_committed(database: PostgresqlDatabase) -> None:
    with pytest.raises(StorageUnavailable), database.write() as rows:
        rows.execute("INSERT INTO settings VALUES ('a', 'x')")
        try:
            rows.execute("INSERT INTO settings VALUES ('a', 'x')")
        except psycopg.IntegrityError:
            pass
    assert count(database) == 0


def test_a_server_that_stops_is_reported_in_time_and_used_again_when_it_is_back(
    database: PostgresqlDatabase, postgresql: PostgresqlServer, quick: None
) -> None:
    put(database, "a")
    postgresql.stop()
    try:
        with pytest.raises(StorageUnavailable) as caught:
            count(database)
        assert (caught.value.exit_code, caught.value.retry_after) == (ExitCode.NETWORK, 1.0)
        with pytest.raises(StorageUnavailable):
            put(database, "b")
    finally:
        postgresql.start()
    assert count(database) == 1, "what was committed is still there"
    put(database, "b")
    assert count(database) == 2


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        (
            "default_transaction_read_only = on",
            "cannot be written to: cannot execute INSERT in a read-only transaction",
        ),
        ("statement_timeout = '1ms'", "statement timeout"),
    ],
)
def test_a_server_that_refuses_to_write_is_tried_again_later(
    postgresql: PostgresqlServer, url: str, setting: str, told: str
) -> None:
    """As a standby does, and one whose administrator is strict: nothing was done, and no hand is needed afterwards."""
    with closing(PostgresqlDatabase(url)) as database:
        put(database, "a")
        with postgresql.administration() as connection:
            connection.execute(f"ALTER DATABASE {database_of(url)} SET {setting}")
        try:
            end_connections(postgresql, url)
            with pytest.raises(StorageUnavailable, match=told), database.write() as rows:
                rows.execute("INSERT INTO settings SELECT generate_series(1, 100000)::text, 'x'")
        finally:
            with postgresql.administration() as connection:
                connection.execute(f"ALTER DATABASE {database_of(url)} RESET ALL")
        end_connections(postgresql, url)
        assert count(database) == 1
        put(database, "b")


def test_a_standby_is_named_at_start_and_the_next_host_is_tried(url: str, postgresql: PostgresqlServer) -> None:
    """One that takes no writes is what libpq takes for a standby."""
    with postgresql.administration() as connection:
        connection.execute("CREATE ROLE reader LOGIN; ALTER ROLE reader SET default_transaction_read_only = on")
        try:
            wanted = f"{url.replace('algo@', 'reader@')}&target_session_attrs=read-write"
            told = refusal(wanted)
            assert isinstance(told, StorageUnavailable)
            assert "No server of the database" in told.message
            assert "Name the primary server" in (told.hint or "")
        finally:
            connection.execute("DROP ROLE reader")
    with closing(
        PostgresqlDatabase(url.replace("host=", "target_session_attrs=read-write&host=/nowhere,"))
    ) as database:
        put(database, "a")


def test_one_that_refused_to_write_is_not_asked_again(
    database: PostgresqlDatabase, postgresql: PostgresqlServer, url: str
) -> None:
    """The next connection may be to another server of the URL."""
    put(database, "a")
    with postgresql.administration() as connection:
        connection.execute(f"ALTER DATABASE {database_of(url)} SET default_transaction_read_only = on")
        end_connections(postgresql, url)
        with pytest.raises(StorageUnavailable):
            put(database, "b")
        connection.execute(f"ALTER DATABASE {database_of(url)} RESET ALL")
    put(database, "b")
    assert count(database) == 2


@pytest.mark.parametrize(
    ("change", "back", "told"),
    [
        ("ALTER DATABASE {} CONNECTION LIMIT 0", "ALTER DATABASE {} CONNECTION LIMIT -1", "too many connections"),
        ("ALTER ROLE guest CONNECTION LIMIT 0", "ALTER ROLE guest CONNECTION LIMIT -1", "too many connections"),
        ("ALTER ROLE guest NOLOGIN", "ALTER ROLE guest LOGIN", "not permitted to log in"),
        (
            "ALTER DATABASE {} ALLOW_CONNECTIONS off",
            "ALTER DATABASE {} ALLOW_CONNECTIONS on",
            "not currently accepting",
        ),
        ("ALTER DATABASE {} RENAME TO elsewhere", "ALTER DATABASE elsewhere RENAME TO {}", "does not exist"),
    ],
)
def test_a_server_that_was_right_is_waited_for_whatever_it_says(
    postgresql: PostgresqlServer, url: str, quick: None, change: str, back: str, told: str
) -> None:
    """Also one that speaks another language: a platform that serves answers that it cannot now, and goes on by itself."""
    name, guests = database_of(url), url.replace("algo@", "guest@")
    with postgresql.administration() as connection, psycopg.connect(url, autocommit=True) as own:
        own.execute("CREATE ROLE guest LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO guest")
        own.close()
        try:
            with closing(PostgresqlDatabase(guests)) as database:
                put(database, "a")
                end_connections(postgresql, url)
                connection.execute(change.format(name))
                try:
                    for _ in range(2):
                        with pytest.raises(StorageUnavailable, match=told) as caught:
                            count(database)
                        assert caught.value.retry_after
                    started = refusal(guests)
                finally:
                    connection.execute(back.format(name))
                assert told in started.message
                assert isinstance(started, StorageUnavailable if "too many" in told else ConfigError)
                assert count(database) == 1
        finally:
            with psycopg.connect(url, autocommit=True) as again:
                again.execute("DROP OWNED BY guest; DROP ROLE guest")


def test_a_server_that_starts_is_unavailable_and_not_wrongly_named() -> None:
    """libpq writes two spaces, or one, before what the server says."""
    url = "postgresql://jane:hush@db/algo"
    for said in (
        "the database system is starting up",
        "the database system is shutting down",
        "sorry, too many clients",
    ):
        for gap in (" ", "  "):
            error = psycopg.OperationalError(f'connection to server at "db" failed: FATAL:{gap}{said}')
            assert isinstance(connection_failure(error, url), StorageUnavailable), said
    for said in (
        'connection to server at "db" failed: FATAL:  password authentication failed',
        'connection to server at "db", port 5432 failed: fe_sendauth: no password supplied',
        'connection is bad: invalid port number: "99999"',
        'connection is bad: invalid sslmode value: "no"',
        'definition of service "algo" not found',
        'root certificate file "/etc/ca.pem" does not exist',
    ):
        assert isinstance(connection_failure(psycopg.OperationalError(said), url), ConfigError), said


def test_machines_that_start_at_once_migrate_once_and_wait_for_each_other(
    new_url: str, postgresql: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for longer than others wait for a lock."""
    monkeypatch.setattr(connections, "_SETTINGS", "SET lock_timeout = '50ms'")
    databases = [PostgresqlDatabase(new_url) for _ in range(4)]
    failed: list[Exception] = []

    def start(database: PostgresqlDatabase) -> None:
        try:
            assert count(database) == 0
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=start, args=(database,)) for database in databases]
    with psycopg.connect(new_url) as holder:
        holder.execute(f"SELECT pg_advisory_xact_lock({schema.MIGRATION_LOCK})")
        for thread in threads:
            thread.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        with postgresql.administration() as connection:
            while connection.execute(waiting).fetchone() != (4,):
                assert not failed
            connection.execute("SELECT pg_sleep(0.2)")
    for thread, database in zip(threads, databases, strict=True):
        thread.join()
        database.close()
    assert failed == []


def test_a_migration_whose_connection_is_lost_leaves_nothing(
    new_url: str, postgresql: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alembic import op

    execute, ended = op.execute, []

    def lose(statement: str) -> None:
        execute(statement)
        if "requests_by_state" in statement and not ended:
            ended.append(statement)
            end_connections(postgresql, new_url)

    monkeypatch.setattr(op, "execute", lose)
    assert isinstance(refusal(new_url), StorageUnavailable)
    with psycopg.connect(new_url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)
    with closing(PostgresqlDatabase(new_url)) as database:
        assert count(database) == 0


def test_code_that_runs_goes_on_while_a_newer_one_adds_to_the_schema(database: PostgresqlDatabase, url: str) -> None:
    put(database, "a")
    with psycopg.connect(url, autocommit=True) as connection:
        revision = connection.execute("SELECT version_num FROM algo_schema").fetchone()
        assert revision
        connection.execute("UPDATE algo_schema SET version_num = '9999'")
        connection.execute("CREATE INDEX newer ON settings (value)")
        put(database, "b")
        assert count(database) == 2
        assert "newer algo-local" in refusal(url).message
        connection.execute("DROP INDEX newer")
        connection.execute("UPDATE algo_schema SET version_num = %s", revision)


def test_the_number_of_a_transaction_names_process_and_transaction(database: PostgresqlDatabase) -> None:
    put(database, "a")
    put(database, "b")
    with database.read() as rows:
        found = [_Token(*row) for row in rows.execute("SELECT name, number FROM writers")]
    with database.write() as rows:
        rows.execute("INSERT INTO writers VALUES ('of a command, long ago', 1, 1.0)")
    with closing(PostgresqlDatabase(database.url)) as other:
        put(other, "c")
    with database.read() as rows:
        names = {name for (name,) in rows.execute("SELECT name FROM writers")}
    assert len(names) == 2, "what is old is forgotten by the next process"
    assert [token.number for token in found] == [2], "one row for this process, with its last transaction"
    assert len(found[0].name) > 16


def test_many_threads_share_few_connections(
    database: PostgresqlDatabase, postgresql: PostgresqlServer, url: str
) -> None:
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(3):
            with database.read() as rows:
                assert count(database) >= 0
                query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                most.append(rows.execute(query).fetchone()[0])
        with database.write() as written:
            written.execute("INSERT INTO settings VALUES (?, 'x')", (str(number),))
            assert count(database) >= 0

    threads = [threading.Thread(target=work, args=(number,)) for number in range(80)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(database) == 80
    assert max(most) <= connections.MOST + 1


def test_people_are_listed_without_organizations(database: PostgresqlDatabase) -> None:
    """Truth values are integers, which are no conditions to PostgreSQL."""
    with database.write() as rows:
        rows.execute("INSERT INTO accounts (name, created_at, id) VALUES ('jane', 1, '1')")
        rows.execute("INSERT INTO accounts (name, created_at, id, is_organization) VALUES ('acme', 1, '2', 1)")
    assert [account.name for account in Accounts(database).people()] == ["jane"]


def test_the_default_connector_is_found(database: PostgresqlDatabase, tmp_path: Path) -> None:
    with database.write() as rows:
        rows.execute("INSERT INTO accounts (name, created_at, id) VALUES ('jane', 1, '1')")
        for label, is_default in (("a", 0), ("b", 1)):
            values = (label, label, is_default)
            rows.execute("INSERT INTO connectors VALUES (?, 'jane', 's3', ?, '*', 1, ?, 1)", values)
    assert Connectors(database, Vault(tmp_path, database)).find("jane", "s3").label == "b"


@pytest.mark.parametrize("last", ["SELECT pg_backend_pid", "SET lock_timeout"])
def test_a_connection_that_is_lost_while_the_pool_is_made_is_told_as_any_other(
    url: str, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    connect = connections.WatchedConnection.connect

    def lost(**parameters: Any) -> Any:
        connection = connect(**parameters)
        execute = connection.execute

        def execute_last(statement: str, **options: Any) -> Any:
            result = execute(statement, **options)  # type: ignore[arg-type]
            if statement.startswith(last):
                with socket.socket(fileno=os.dup(connection.fileno())) as way:
                    way.shutdown(socket.SHUT_RDWR)
            return result

        connection.execute = execute_last  # type: ignore[assignment,method-assign]
        return connection

    with monkeypatch.context() as patched:
        patched.setattr(connections.WatchedConnection, "connect", lost)
        with closing(PostgresqlDatabase(url)) as database:
            with pytest.raises(StorageUnavailable):
                count(database)
            patched.undo()
            assert count(database) == 0
