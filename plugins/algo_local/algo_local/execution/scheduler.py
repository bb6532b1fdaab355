"""Decides which call is next, and how many workers there are. Pure logic: no processes, threads or clocks.

`workers/worker_pool.py` carries out its decisions. Calls wait in a queue for each account and build; idle workers take
the first one. If calls wait longer than `HOLD_SECONDS`, workers are started, up to the limits; with `MANY` workers,
only if late calls are not rare, or one waits longer than `LONG_SECONDS`.

The account with the least service so far is next (deficit round robin, in seconds of workers). If no more workers may
be started, and another account has had `QUANTUM_SECONDS` more, one of its workers is stopped for the waiting account.

Each level of calls by algorithms has workers of its own limit, so that no call waits for a worker that waits for it.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from algo_local.execution.scaling import Scaling

HOLD_SECONDS = 0.02
"""Seconds that a call waits for a busy or starting worker before another one is started."""

LONG_SECONDS = 0.2
"""The same where there are `MANY` workers already and calls seldom wait longer than `HOLD_SECONDS`."""

MANY = 16
"""Workers of a build for one account from which a late call may be one by chance."""

RARE = 0.05
"""Share of late calls below which they are late by chance."""

QUANTUM_SECONDS = 2.0
"""How much more service an account may have had than one that waits before it gives up a worker to that."""

STARTS = 4
"""Workers that are started at once."""

REMEMBERED = 1000
"""Accounts without calls of which it is known how much service they have had."""


class Served(Protocol):
    """The scheduler's view of a worker."""

    account: str
    idle_since: float


W = TypeVar("W", bound=Served)


@dataclass(eq=False)
class Ticket(Generic[W]):
    """A waiting call; `worker` is set when it gets one."""

    key: Hashable
    account: str
    depth: int
    arrived: float
    number: int = 0
    worker: W | None = None
    least: int = 0
    """Workers that its build keeps."""
    most: int = 0
    """Workers that its build may have; 0 for as many as any."""
    label: str = ""
    """What people know its build by."""
    estimate: float = 0.0
    """What its account was charged for it when it got the worker, in seconds."""


@dataclass(eq=False)
class Start(Generic[W]):
    """A worker to start, and the one to stop for it, if any."""

    ticket: Ticket[W]
    """The call that it is started for; whether that gets it is decided when it is there."""
    instead_of: W | None = None
    is_slow: bool = False
    """Whether it takes no place among those that are started at once any more."""


@dataclass
class Plan(Generic[W]):
    """The next actions."""

    given: list[Ticket[W]] = field(default_factory=list)
    starts: list[Start[W]] = field(default_factory=list)


class BuildWorkers(NamedTuple):
    """The workers of a build."""

    label: str
    workers: int
    """Idle, busy, and about to be."""
    busy: int
    least: int
    most: int


class _Pool(Generic[W]):
    """The workers of one build."""

    def __init__(self) -> None:
        self.idle: dict[str, deque[W]] = {}
        """By account, the one that was idle for the shortest time last."""
        self.count = 0
        """Idle, busy, and about to be."""
        self.of: dict[str, int] = {}
        """The same, by account."""
        self.busy: Counter[int] = Counter()
        """By the depth of the calls."""
        self.starting: dict[str, int] = {}
        self.ready: dict[str, float] = {}
        """When an account's last worker was started."""
        self.seconds = 0.0
        """The recent average duration of a call."""
        self.late = 1.0
        """The recent share of calls that waited longer than `HOLD_SECONDS`."""
        self.most = 0
        self.label = ""
        self.least = 0
        """How many are kept, as the newest call said."""
        self.levels = 1
        """Levels of calls that it has served: it may have as many workers for each."""
        self.outdated: set[str] = set()
        """Accounts whose workers are of a state that is no more: they end instead of taking another call."""

    def remember(self, ticket: Ticket[W]) -> None:
        """Take the build's limits and label from a call."""
        self.least, self.most, self.label = ticket.least, ticket.most, ticket.label
        self.levels = max(self.levels, ticket.depth + 1)


class _Account(Generic[W]):
    """The waiting and running calls of an account."""

    def __init__(self, served: float) -> None:
        self.served = served
        """Seconds of service that it has had, those of the calls that run estimated."""
        self.queues: dict[tuple[Hashable, int], deque[Ticket[W]]] = {}
        self.waiting = 0
        self.running = 0


def _up_to(depth: int, busy: Counter[int]) -> int:
    """The number of running calls up to a depth."""
    return sum([busy[level] for level in range(depth + 1)]) if depth else busy[0]


class Scheduler(Generic[W]):
    """The scheduler of an executor, whose lock must be held. Times are those of `time.monotonic`."""

    def __init__(self, scaling: Scaling) -> None:
        self.scaling = scaling
        self.pools: dict[Hashable, _Pool[W]] = {}
        self.reserved: Mapping[tuple[Hashable, str], int] = {}
        """Workers of builds that are kept for an account, and given up to nobody else."""
        self.waiting = 0
        self._accounts: dict[str, _Account[W]] = {}
        self._past: OrderedDict[str, float] = OrderedDict()
        self._clock = 0.0
        """Service that the account which was last given a worker had had: where a new one begins."""
        self._count = 0
        self._busy: Counter[int] = Counter()
        self._starting = 0
        self._number = 0

    # Events

    def is_full_for(self, name: str) -> bool:
        """Whether further calls of an account are refused: the queue is full, and the account has its share of it.

        An account below its share may still queue calls, so that no account blocks the queue for others.
        """
        if self.waiting < self.scaling.queue:
            return False
        mine = self._accounts[name].waiting if name in self._accounts else 0
        others = sum(1 for one, account in self._accounts.items() if account.waiting and one != name)
        return mine >= max(1, self.scaling.queue // (others + 1))

    def arrive(self, ticket: Ticket[W]) -> None:
        """Add a waiting call."""
        self._number += 1
        ticket.number = self._number
        account = self._account(ticket.account)
        account.queues.setdefault((ticket.key, ticket.depth), deque()).append(ticket)
        account.waiting += 1
        self.waiting += 1

    def withdraw(self, ticket: Ticket[W]) -> None:
        """Remove a waiting call that got no worker."""
        account = self._accounts[ticket.account]
        queue = account.queues[ticket.key, ticket.depth]
        queue.remove(ticket)
        if not queue:
            del account.queues[ticket.key, ticket.depth]
        account.waiting -= 1
        self.waiting -= 1
        self._leave(ticket.account)

    def slows(self, start: Start[W]) -> None:
        """Note that a start waits for an algorithm to load: other workers may be started meanwhile."""
        if not start.is_slow:
            start.is_slow = True
            self._starting -= 1

    def started(self, start: Start[W], worker: W | None, now: float) -> None:
        """Add the started worker as an idle one; `worker` is None if the start failed."""
        ticket = start.ticket
        pool = self.pools[ticket.key]
        pool.starting[ticket.account] -= 1
        if not pool.starting[ticket.account]:
            del pool.starting[ticket.account]
        self.slows(start)
        if worker is None:
            self._forget(ticket.key, ticket.account)
        else:
            pool.idle.setdefault(ticket.account, deque()).append(worker)
            pool.ready[ticket.account] = now

    def ended(self, ticket: Ticket[W], seconds: float, *, keep: bool) -> bool:
        """End a call that has used its worker for `seconds`; True if the worker is idle, False if it must stop."""
        assert ticket.worker is not None
        pool, account = self.pools[ticket.key], self._accounts[ticket.account]
        account.served += seconds - ticket.estimate
        account.running -= 1
        pool.busy[ticket.depth] -= 1
        self._busy[ticket.depth] -= 1
        pool.seconds += (seconds - pool.seconds) / 8
        keep = keep and ticket.account not in pool.outdated and self._excess(pool) <= 0
        if keep:
            pool.idle.setdefault(ticket.account, deque()).append(ticket.worker)
        else:
            self._forget(ticket.key, ticket.account)
        self._leave(ticket.account)
        return keep

    def limit(self, key: Hashable, least: int, most: int) -> None:
        """Change the limits of a build."""
        if pool := self.pools.get(key):
            pool.least, pool.most = least, most

    def outdate(self, key: Hashable, accounts: Collection[str]) -> None:
        """Set the accounts whose workers of a build are outdated."""
        if pool := self.pools.get(key):
            pool.outdated = set(accounts)

    def accounts(self, key: Hashable) -> list[str]:
        """The accounts that have workers of a build."""
        pool = self.pools.get(key)
        return list(pool.of) if pool else []

    def surplus(self) -> list[tuple[Hashable, W]]:
        """The idle workers that are outdated or above their build's maximum, the oldest first."""
        found: list[tuple[Hashable, W]] = []
        for key, pool in self.pools.items():
            idle = [worker for mine in pool.idle.values() for worker in mine]
            outdated = [worker for worker in idle if worker.account in pool.outdated]
            others = sorted((worker for worker in idle if worker not in outdated), key=lambda w: w.idle_since)
            more = max(0, self._excess(pool) - len(outdated))
            found += [(key, worker) for worker in (*outdated, *others[:more])]
        return found

    def _excess(self, pool: _Pool[W]) -> int:
        return pool.count - min(self.scaling.most, pool.most or self.scaling.most) * pool.levels

    def retire(self, key: Hashable, worker: W) -> None:
        """Remove an idle worker."""
        idle = self.pools[key].idle
        idle[worker.account].remove(worker)
        if not idle[worker.account]:
            del idle[worker.account]
        self._forget(key, worker.account)

    def idle(self) -> Iterator[tuple[Hashable, W]]:
        """All idle workers; within a build, those that have been idle the longest first."""
        for key, pool in self.pools.items():
            workers = [worker for mine in pool.idle.values() for worker in mine]
            for worker in sorted(workers, key=lambda worker: worker.idle_since):
                yield key, worker

    def retirable(self, moment: float) -> list[tuple[Hashable, W]]:
        """The workers idle since before `moment`, without those that are kept for each build."""
        found: list[tuple[Hashable, W]] = []
        for key, pool in self.pools.items():
            spare = pool.count - max(self.scaling.least, pool.least)
            old = [
                worker
                for account, mine in pool.idle.items()
                for worker in list(mine)[: self._unreserved(key, account)]
                if worker.idle_since <= moment
            ]
            found += [(key, worker) for worker in sorted(old, key=lambda w: w.idle_since)[: max(0, spare)]]
        return found

    def _unreserved(self, key: Hashable, account: str) -> int:
        """The number of an account's workers of a build beyond its reservation."""
        return max(0, self.pools[key].of.get(account, 0) - self.reserved.get((key, account), 0))

    def has_had_less(self, name: str, other: str) -> bool:
        """Whether an account has had so much less service than another that it may take its workers."""
        one, two = self._accounts.get(name), self._accounts.get(other)
        return bool(one and two and one.waiting and one.served + QUANTUM_SECONDS < two.served)

    def ahead(self, ticket: Ticket[W]) -> list[Start[W]]:
        """The workers to start so that a build has its minimum and its account the reserved number.

        `ticket` names build and account; it is not a waiting call.
        """
        plan: Plan[W] = Plan()
        pool = self.pools.setdefault(ticket.key, _Pool())
        pool.remember(ticket)
        most, reserved = self._most(ticket), self.reserved.get((ticket.key, ticket.account), 0)
        while (
            (pool.count < min(ticket.least, most) or pool.of.get(ticket.account, 0) < min(reserved, most))
            and self._count < self.scaling.total
            and self._starting < STARTS
        ):
            self._begin(ticket, pool, plan, None)
        self._drop_empty(ticket.key)
        return plan.starts

    def builds(self) -> list[BuildWorkers]:
        """The workers of each build that has any."""
        return [
            BuildWorkers(
                pool.label,
                pool.count,
                sum(pool.busy.values()),
                max(self.scaling.least, pool.least),
                min(self.scaling.most, pool.most or self.scaling.most),
            )
            for pool in self.pools.values()
        ]

    # Decisions

    def plan(self, now: float) -> Plan[W]:
        """Assign idle workers to calls, and decide which workers to start."""
        plan: Plan[W] = Plan()
        if self.waiting:
            names = [name for name, account in self._accounts.items() if account.queues]
            if len(names) > 1:
                names.sort(key=lambda name: self._accounts[name].served)
            for name in names:
                self._serve(name, now, plan)
        return plan

    def _serve(self, name: str, now: float, plan: Plan[W]) -> None:
        account = self._accounts[name]
        for key, depth in sorted(account.queues, key=lambda which: account.queues[which][0].number):
            queue = account.queues[key, depth]
            while queue and self._has_room(queue[0]) and (worker := self._idle_of(key, name)):
                self._give(queue.popleft(), worker, now, plan)
            if not queue:
                del account.queues[key, depth]
            if not queue or not self._has_room(queue[0]):
                continue
            pool = self.pools.setdefault(key, _Pool())
            begin = pool.starting.get(name, 0)
            for ticket in list(islice(queue, begin, begin + STARTS)):
                if not self._may_start(ticket, pool, now) or not self._start(ticket, pool, plan):
                    break
            self._drop_empty(key)

    def _most(self, ticket: Ticket[W]) -> int:
        """The maximum number of workers of a build for each level of calls."""
        return min(self.scaling.most, ticket.most or self.scaling.most)

    def _has_room(self, ticket: Ticket[W]) -> bool:
        """Whether one more call of this depth leaves enough workers for deeper calls."""
        pool, levels = self.pools.get(ticket.key), ticket.depth + 1
        mine = _up_to(ticket.depth, pool.busy) if pool else 0
        all_together = _up_to(ticket.depth, self._busy)
        return mine < self._most(ticket) * levels and all_together < self.scaling.total * levels

    def _idle_of(self, key: Hashable, account: str) -> W | None:
        pool = self.pools.get(key)
        mine = pool.idle.get(account) if pool else None
        if not pool or not mine:
            return None
        worker = mine.pop()
        if not mine:
            del pool.idle[account]
        return worker

    def _give(self, ticket: Ticket[W], worker: W, now: float, plan: Plan[W]) -> None:
        account = self._accounts[ticket.account]
        self._clock = max(self._clock, account.served)
        pool = self.pools[ticket.key]
        pool.remember(ticket)
        pool.busy[ticket.depth] += 1
        self._busy[ticket.depth] += 1
        pool.late += ((now - ticket.arrived >= HOLD_SECONDS) - pool.late) / 64
        ticket.estimate = pool.seconds
        account.served += ticket.estimate
        account.running += 1
        account.waiting -= 1
        self.waiting -= 1
        ticket.worker = worker
        plan.given.append(ticket)

    def _may_start(self, ticket: Ticket[W], pool: _Pool[W], now: float) -> bool:
        """Whether the call has waited long enough: a busy worker that becomes idle is quicker than a new one."""
        if self._starting >= STARTS:
            return False
        mine = pool.of.get(ticket.account, 0) if ticket.depth == 0 else 0
        waited = now - max(ticket.arrived, pool.ready.get(ticket.account, 0.0))
        # Among many calls a few are late by chance: a new worker for each of them would add workers without end.
        hold = LONG_SECONDS if mine >= MANY and pool.late < RARE else HOLD_SECONDS
        return not mine or waited >= hold * 0.999

    def _start(self, ticket: Ticket[W], pool: _Pool[W], plan: Plan[W]) -> bool:
        levels = ticket.depth + 1
        instead_of: W | None = None
        if pool.count >= self._most(ticket) * levels:
            instead_of = self._victim(ticket, [(ticket.key, worker) for mine in pool.idle.values() for worker in mine])
        elif self._count >= self.scaling.total * levels:
            instead_of = self._victim(ticket, list(self.idle()))
        else:
            self._begin(ticket, pool, plan, None)
            return True
        if instead_of is None:
            return False
        self._begin(ticket, pool, plan, instead_of)
        return True

    def _victim(self, ticket: Ticket[W], candidates: list[tuple[Hashable, W]]) -> W | None:
        """An idle worker to stop for a call: one that no call waits for, or one of an account with more service."""
        due = self._accounts[ticket.account].served + QUANTUM_SECONDS
        best: tuple[float, float, Hashable, W] | None = None
        for key, worker in candidates:
            if worker.account != ticket.account and not self._unreserved(key, worker.account):
                continue
            owner = self._accounts.get(worker.account)
            is_wanted = owner is not None and any(which == key for which, _ in owner.queues)
            if is_wanted and (owner is None or worker.account == ticket.account or owner.served <= due):
                continue
            rank = (-owner.served if is_wanted and owner else float("-inf"), worker.idle_since)
            if best is None or rank < best[:2]:
                best = (*rank, key, worker)
        if best is None:
            return None
        self.retire(best[2], best[3])
        return best[3]

    def _begin(self, ticket: Ticket[W], pool: _Pool[W], plan: Plan[W], instead_of: W | None) -> None:
        self.pools[ticket.key] = pool  # stopping its last worker removed the pool
        self._count += 1
        pool.count += 1
        pool.remember(ticket)
        pool.of[ticket.account] = pool.of.get(ticket.account, 0) + 1
        pool.starting[ticket.account] = pool.starting.get(ticket.account, 0) + 1
        self._starting += 1
        plan.starts.append(Start(ticket, instead_of))

    # Adding and removing accounts and pools

    def _account(self, name: str) -> _Account[W]:
        account = self._accounts.get(name)
        if account is None:
            # An account that was away gains no claim, and one that had too much does not start afresh.
            account = self._accounts[name] = _Account(max(self._clock, self._past.pop(name, 0.0)))
        return account

    def _leave(self, name: str) -> None:
        account = self._accounts[name]
        if account.queues or account.running:
            return
        del self._accounts[name]
        self._past[name] = account.served
        if len(self._past) > REMEMBERED:
            self._past.popitem(last=False)

    def _forget(self, key: Hashable, account: str) -> None:
        pool = self.pools[key]
        pool.count -= 1
        pool.of[account] -= 1
        if not pool.of[account]:
            del pool.of[account]
            pool.ready.pop(account, None)
            pool.outdated.discard(account)
        self._count -= 1
        self._drop_empty(key)

    def _drop_empty(self, key: Hashable) -> None:
        if key in self.pools and not self.pools[key].count:
            del self.pools[key]
