"""The tables of calls and their contents: SQL statements for all that `recorder.py` and `record_queries.py` do."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from algo_local.records.limits import ROW_BYTES, Retention
from algo_local.records.record import CANCELLED, CANCELLED_ERROR, LOST, STATES, Content, Record
from algo_local.records.resumption import IDEMPOTENT, ONLY_ONCE

if TYPE_CHECKING:
    from algo_local.metadata.database import Rows

COLUMNS = (
    *("id", "account", "algorithm", "owner", "name", "version", "created_at", "state", "parent", "is_void"),
    *("platform", "worker", "started_at", "finished_at", "duration", "input_type", "input_size", "input_digest"),
    *("output_type", "output_size", "output_digest", "printed", "error", "idempotency_key", "key_digest"),
    *("repeats", "insights", "resumption"),
)
"""The columns of a row, in order."""

_CHANGING = (
    *("state", "worker", "started_at", "finished_at", "duration", "output_type", "output_size", "output_digest"),
    *("printed", "error", "insights"),
)
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM requests"
_UPSERT = (
    f"INSERT INTO requests ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) ON CONFLICT (id) DO UPDATE"
    f" SET {', '.join(f'{column} = excluded.{column}' for column in _CHANGING)}"
)
_APART = 1e-6
"""Seconds between the times of contents of one transaction, which keep their order."""

_UNFINISHED = "state IN ('queued', 'running')"
_NEWEST = "ORDER BY created_at DESC, id DESC"

BY_TIME, BY_STATE, BY_ACCOUNT, BY_ALGORITHM, BY_ACCOUNT_AND_ALGORITHM = (
    f"id != '{name}'" for name in ("by_time", "by_state", "by_account", "by_algorithm", "by_account_and_algorithm")
)
"""Conditions that hold for each call, and name an index: each is the condition of one, which a query without it cannot
use. Left to itself, the server reads all calls in order of time where it expects to find enough of an account soon,
which is wrong for one that has made none lately."""

IN_FAMILY = "parent != ''"
"""The condition of the index of those that other calls made."""

Row = tuple[Any, ...]


class Question(NamedTuple):
    """The filters of a listing; all of them apply, newest calls first."""

    accounts: Sequence[str] | None = None
    """Only the calls of these accounts; None for all."""
    algorithm: str = ""
    """An algorithm's id."""
    states: Sequence[str] = ()
    since: float | None = None
    before: tuple[float, str] | None = None
    """Time and id of the last call of the page before."""
    parent: str | None = None
    """Only the calls that this one made."""
    with_insights: bool = False
    """Only those that reported something about themselves."""


def row_of(record: Record) -> Row:
    """The values of a record's columns."""
    given, came = record.input, record.output
    return (
        *(record.id, record.account, record.algorithm, record.owner, record.name, record.version, record.created_at),
        *(record.state, record.parent, record.is_void, record.platform, record.worker, record.started_at),
        *(record.finished_at, record.duration),
        *((given.content_type, given.size, given.digest) if given else (None, None, None)),
        *((came.content_type, came.size, came.digest) if came else (None, None, None)),
        *(record.printed, record.error, record.key, record.key_digest, record.repeats, record.insights),
        record.resumption,
    )


def record_of(row: Row) -> Record:
    """The record of a row."""
    given = Content(*row[15:18]) if row[15] else None
    came = Content(*row[18:21]) if row[18] else None
    values: list[Any] = [*row[:9], bool(row[9]), *row[10:15], given, came, *row[21:]]
    return Record(*values)


def store(rows: Rows, records: Iterable[Row], contents: Iterable[tuple[str, bytes]]) -> None:
    """Write records, new or changed, and contents under their digests."""
    rows.executemany(_UPSERT, records)
    now = time.time()
    rows.executemany(
        "INSERT INTO request_contents VALUES (?, ?, ?, ?)"
        " ON CONFLICT (digest) DO UPDATE SET used_at = excluded.used_at",
        [(digest, len(data), now + place * _APART, data) for place, (digest, data) in enumerate(contents)],
    )


def find(rows: Rows, identifier: str) -> Record | None:
    """A call by its id."""
    return _one(rows, "id = ?", identifier)


def by_key(rows: Rows, account: str, key: str) -> Record | None:
    """The call that an account made with an idempotency key."""
    return _one(rows, "account = ? AND idempotency_key = ?", account, key)


def _one(rows: Rows, condition: str, *values: object) -> Record | None:
    found = rows.execute(f"{_SELECT} WHERE {condition}", values).fetchone()
    return record_of(found) if found else None


def give_up_key(rows: Rows, record: Record) -> None:
    """Release the idempotency key of a lost call."""
    rows.execute("UPDATE requests SET idempotency_key = NULL WHERE id = ?", (record.id,))


def listed(rows: Rows, question: Question, limit: int) -> list[Record]:
    """The records that match a query, at most `limit`.

    An index has the calls of each state in the order of the listing. A listing of several states or accounts merges one
    query for each, so that it reads no more rows of each than it may show.
    """
    return _merged(
        rows,
        [_branch(question, account, state, limit) for account in _accounts(question) for state in _states(question)],
        limit,
    )


def listed_of_owner(rows: Rows, owner: str, states: Sequence[str], since: float, limit: int) -> list[Record]:
    """The newest calls in these states since a moment, at most `limit`, of all algorithms of an account.

    The first query finds the newest call of each algorithm and state. The places whose newest ones are the oldest
    cannot add to a listing that others fill, so that the second query has `limit` branches at most.
    """
    newest = (
        f"(SELECT created_at FROM requests WHERE {BY_ALGORITHM} AND algorithm = algorithms.id AND state = states.name"
        " ORDER BY created_at DESC LIMIT 1)"
    )
    named = " UNION ALL ".join(f"SELECT '{state}' AS name" for state in states)
    found = rows.execute(
        f"SELECT id, name_of_state, at FROM (SELECT algorithms.id AS id, states.name AS name_of_state,"
        f" {newest} AS at FROM algorithms CROSS JOIN ({named}) AS states"
        f" WHERE owner = ?) AS places WHERE at >= ? ORDER BY at DESC LIMIT {limit:d}",
        (owner, since),
    ).fetchall()
    if len(found) == limit:
        since = found[-1][2]  # as many are at least as new as that
    questions = [(Question(algorithm=algorithm, since=since), state) for algorithm, state, _ in found]
    return _merged(rows, [_branch(question, None, state, limit) for question, state in questions], limit)


def _merged(rows: Rows, branches: Sequence[tuple[str, list[object]]], limit: int) -> list[Record]:
    """The newest of what several queries find, in one."""
    if not branches:
        return []
    if len(branches) == 1:
        query, values = branches[0]
    else:
        union = " UNION ALL ".join(f"SELECT * FROM ({text}) AS branch" for text, _ in branches)
        query = f"SELECT * FROM ({union}) AS merged {_NEWEST} LIMIT {limit:d}"
        values = [value for _, given in branches for value in given]
    return [record_of(row) for row in rows.execute(query, values)]


def _accounts(question: Question) -> Sequence[str | None]:
    return [None] if question.accounts is None else list(dict.fromkeys(question.accounts))


def _states(question: Question) -> Sequence[str | None]:
    """The states to query separately; None for all states in one query, which two indexes have in order of time."""
    if question.states:
        return list(dict.fromkeys(question.states))
    is_of_all = question.accounts is None and question.parent is None and not question.algorithm
    return [None] if is_of_all or question.with_insights else STATES


def _branch(question: Question, account: str | None, state: str | None, limit: int) -> tuple[str, list[object]]:
    """The query of one account and state."""
    conditions: list[tuple[str, Sequence[object]]] = []
    if question.parent is not None:
        conditions.append((f"parent = ? AND {IN_FAMILY}", (question.parent,)))
    elif question.with_insights:
        conditions.append(("insights != ''", ()))
    else:
        place = (account is not None, bool(question.algorithm))
        by_time = BY_TIME if state is None else BY_STATE
        names = {(True, True): BY_ACCOUNT_AND_ALGORITHM, (True, False): BY_ACCOUNT, (False, True): BY_ALGORITHM}
        conditions.append((names.get(place, by_time), ()))
    if account is not None:
        conditions.append(("account = ?", (account,)))
    if question.algorithm:
        conditions.append(("algorithm = ?", (question.algorithm,)))
    if state is not None:
        conditions.append(("state = ?", (state,)))
    if question.since is not None:
        conditions.append(("created_at >= ?", (question.since,)))
    if question.before:
        conditions.append(("(created_at, id) < (?, ?)", question.before))
    where = " AND ".join(text for text, _ in conditions)
    # The limit is part of the text: for a parameter, the server would plan as for a long listing.
    return f"{_SELECT} WHERE {where} {_NEWEST} LIMIT {limit:d}", [each for _, values in conditions for each in values]


def content(rows: Rows, digest: str) -> bytes | None:
    """The bytes of a content; None if they are not kept."""
    found = rows.execute("SELECT data FROM request_contents WHERE digest = ?", (digest,)).fetchone()
    return found[0] if found else None


def contents(rows: Rows, digests: Collection[str]) -> dict[str, bytes]:
    """The bytes of the contents that are kept, by digest."""
    query = f"SELECT digest, data FROM request_contents WHERE digest IN ({', '.join('?' * len(digests))})"
    return dict(rows.execute(query, list(digests))) if digests else {}


def platforms_of_unfinished(rows: Rows) -> list[str]:
    """The processes of unfinished calls; calls that wait for a server have none."""
    query = f"SELECT DISTINCT platform FROM requests WHERE {_UNFINISHED}"
    return [row[0] for row in rows.execute(query) if row[0]]


def mark_lost(rows: Rows, platforms: Iterable[str]) -> None:
    """Mark all unfinished calls of these processes as lost, except for those that the next server can execute."""
    platforms = list(platforms)
    for platform in platforms:
        _leave(rows, "platform = ?", platform)
    query = f"UPDATE requests SET state = ?, finished_at = ? WHERE platform = ? AND {_UNFINISHED}"
    rows.executemany(query, [(LOST, time.time(), platform) for platform in platforms])


def leave(rows: Rows, record: Record) -> None:
    """Leave a call to the next server, if it may be executed."""
    if record.started_at is None:  # or was undone, since the worker did not get the call
        query = "UPDATE requests SET state = ?, worker = '', started_at = NULL WHERE id = ? AND platform = ?"
        rows.execute(query, (record.state, record.id, record.platform))
    _leave(rows, "id = ?", record.id)


def _leave(rows: Rows, condition: str, value: str) -> None:
    """Leave calls to the next server that no worker has taken, or that may run twice; the latter only once."""
    where = f"WHERE {condition} AND {_UNFINISHED} AND resumption != '' AND cancel = 0"
    rows.execute(f"UPDATE requests SET platform = '' {where} AND state = 'queued'", (value,))
    rows.execute(
        "UPDATE requests SET platform = '', state = 'queued', worker = '', started_at = NULL, printed = '',"
        f" insights = '', resumption = replace(resumption, ?, ?) {where} AND state = 'running' AND resumption LIKE ?",
        (IDEMPOTENT, ONLY_ONCE, value, f"%{IDEMPOTENT}%"),
    )


def left_over(rows: Rows, limit: int) -> list[Record]:
    """The calls that wait for a server, oldest first."""
    query = f"{_SELECT} WHERE platform = '' AND {_UNFINISHED} ORDER BY created_at, id LIMIT ?"
    return [record_of(row) for row in rows.execute(query, (limit,))]


def take_over(rows: Rows, identifiers: Sequence[str], platform: str) -> set[str]:
    """Assign waiting calls to a process; returns the ids that no other process has taken."""
    query = f"UPDATE requests SET platform = ? WHERE id = ? AND platform = '' AND {_UNFINISHED}"
    return {identifier for identifier in identifiers if rows.execute(query, (platform, identifier)).rowcount}


def give_back(rows: Rows, identifiers: Iterable[str], platform: str) -> None:
    """Have calls that a process took over, and has not begun, wait for a server again."""
    query = f"UPDATE requests SET platform = '' WHERE id = ? AND platform = ? AND {_UNFINISHED}"
    rows.executemany(query, [(identifier, platform) for identifier in identifiers])


def withdraw(rows: Rows, identifier: str) -> None:
    """Forget a call that was not accepted, and with it its notification."""
    rows.execute("DELETE FROM request_webhooks WHERE request = ?", (identifier,))
    rows.execute("DELETE FROM requests WHERE id = ?", (identifier,))


def start(rows: Rows, record: Record, platform: str) -> bool:
    """Mark a call of a process as running; False if another process has taken it."""
    query = f"UPDATE requests SET state = ?, worker = ?, started_at = ? WHERE id = ? AND platform = ? AND {_UNFINISHED}"
    return bool(rows.execute(query, (record.state, record.worker, record.started_at, record.id, platform)).rowcount)


def ask_to_cancel(rows: Rows, identifier: str) -> None:
    """Ask the process of a call to cancel it; a call that waits for a server is cancelled at once."""
    rows.execute(
        f"UPDATE requests SET state = ?, finished_at = ?, error = ? WHERE id = ? AND platform = '' AND {_UNFINISHED}",
        (CANCELLED, time.time(), CANCELLED_ERROR, identifier),
    )
    rows.execute(f"UPDATE requests SET cancel = 1 WHERE id = ? AND {_UNFINISHED}", (identifier,))


def to_cancel(rows: Rows, platform: str) -> list[str]:
    """The running calls that a process was asked to cancel."""
    query = f"SELECT id FROM requests WHERE platform = ? AND {_UNFINISHED} AND cancel = 1"
    return [row[0] for row in rows.execute(query, (platform,))]


def forget_account(rows: Rows, account: str) -> None:
    """Delete the calls of an account, and their contents unless another call has the same."""
    theirs = f"SELECT {{column}} FROM requests WHERE {BY_ACCOUNT} AND account = ?"
    digests = {
        row[0]
        for column in ("input_digest", "output_digest")
        for row in rows.execute(theirs.format(column=column), (account,))
    }
    rows.execute(f"DELETE FROM requests WHERE {BY_ACCOUNT} AND account = ?", (account,))
    rows.execute("DELETE FROM request_webhooks WHERE account = ?", (account,))
    others = {
        row[0]
        for column in ("input_digest", "output_digest")
        for row in rows.execute(f"SELECT DISTINCT {column} FROM requests")
    }
    rows.executemany("DELETE FROM request_contents WHERE digest = ?", [(digest,) for digest in digests - others])


def sweep(rows: Rows, retention: Retention, now: float) -> None:
    """Delete calls and contents beyond the retention limits."""
    oldest = now - retention.seconds
    _forget_before(rows, oldest)
    (count,) = rows.execute("SELECT count(*) FROM requests").fetchone()
    most = max(1, retention.total // 2 // ROW_BYTES)
    if count > most:
        query = f"SELECT created_at FROM requests WHERE {BY_TIME} ORDER BY created_at DESC LIMIT 1 OFFSET ?"
        _forget_before(rows, rows.execute(query, (most - 1,)).fetchone()[0])
    room = retention.total - min(count, most) * ROW_BYTES
    rows.execute(
        "DELETE FROM request_contents WHERE digest IN (SELECT digest FROM (SELECT digest,"
        " sum(size) OVER (ORDER BY used_at DESC, digest DESC) AS total FROM request_contents) AS kept WHERE total > ?)",
        (room,),
    )


def _forget_before(rows: Rows, moment: float) -> None:
    ended = f"(NOT {_UNFINISHED} OR platform = '')"
    rows.execute(f"DELETE FROM requests WHERE {BY_TIME} AND created_at < ? AND {ended}", (moment,))
    rows.execute("DELETE FROM request_webhooks WHERE NOT EXISTS (SELECT 1 FROM requests WHERE id = request)")
    # A content is at least as young as its youngest call.
    rows.execute("DELETE FROM request_contents WHERE used_at < ?", (moment,))


Change = Callable[["Rows"], Any]
"""Something to be done in a transaction."""
