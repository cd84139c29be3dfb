"""Where a queued job stands among the others of its queue; see `lua/explain.lua`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from ...policy import Limit, QueuePolicy, RateLimit
from ..lanes import task_of
from ..standing import MOST_AHEAD, MOST_ENDS, Bulked, GroupStanding, Pace, Standing, hands_of
from .grouping import group_rules
from .moments import moment, moment_or_none, span
from .record import read_record
from .scripts import COMMON, Scripts, decode
from .shared_limits import NOTHING, limit_rules, place_of
from .values import id_word


class Explaining:
    """The broker's part in it."""

    _scripts: Scripts

    def explain(self, policy: QueuePolicy, job_id: UUID) -> Standing | None:
        """Where a queued job stands; see the contract. The limits that queues share are read a moment before."""
        if (raw := self._scripts.command("HGET", policy.name, "jobs", job_id.bytes)) is None:
            return None
        task = task_of(read_record(raw).head.lane or "")
        own = policy.limits.get(task, ())
        held_back = tuple(name for name in policy.breakers.get(task, ()) if policy.rooms.get(name) == 0)
        shared = self._shared_paces(policy)
        ask: dict[str, Any] = {"id": id_word(job_id), "most": MOST_AHEAD, "ends": MOST_ENDS}
        if limit := policy.rate_limit:
            ask |= {"limit": limit.limit, "per": span(limit.per)}
        if policy.global_concurrency:
            ask["bound"] = policy.global_concurrency
        ask |= limit_rules(policy, NOTHING)
        if "rooms" in ask:  # not where tasks have breakers alone, and all are closed
            rooms = {name: int(pace.has_room) for name, pace in shared.items()}
            # its own are taken for free
            ask["rooms"] |= rooms | dict.fromkeys([*(limit.name for limit in own), *held_back], 1)
        answer = decode(self._scripts.run("explain", policy.name, **ask, **group_rules(policy)))
        if not answer:
            return None
        return replace(_standing(answer, [shared[one.name] for one in own]), breakers=held_back)

    def pace_of(self, limit: Limit) -> Pace:
        """How a limit stands that queues share."""
        return self._pace(limit.rate_limit, self._now(), limit=limit.name)

    def pace_of_queue(self, queue: str, rate: RateLimit) -> Pace:
        """How the queue's own rate limit stands."""
        return self._pace(rate, self._now(), queue=queue)

    def _shared_paces(self, policy: QueuePolicy) -> dict[str, Pace]:
        limits = {limit.name: limit for limits in policy.limits.values() for limit in limits}
        if not limits:
            return {}
        now = self._now()
        return {name: self._pace(limit.rate_limit, now, limit=name) for name, limit in limits.items()}

    def _now(self) -> int:
        return int(decode(self._scripts.run("now", COMMON)))

    def _pace(self, rate: RateLimit, now: int, *, queue: str = "", limit: str = "") -> Pace:
        per = span(rate.per)
        place, words = queue or place_of(limit), (f"({now - per}", "+inf")
        found = self._scripts.command("ZRANGEBYSCORE", place, "pace", *words, "WITHSCORES", "LIMIT", 0, MOST_ENDS)
        taken = int(self._scripts.command("ZCOUNT", place, "pace", *words))
        return Pace(rate, taken, tuple(moment(score + per) for score in _scores(found)), limit)


def _scores(found: Sequence[Any]) -> list[float]:
    """Those of members and scores: in one list, or, by the later protocol, in pairs."""
    if found and isinstance(found[0], list):
        return [float(score) for _, score in found]
    return [float(score) for score in found[1::2]]


def _standing(answer: Sequence[Any], limits: Sequence[Pace]) -> Standing:
    (
        now, ready, expires, alone, left, paused, until, mending, behind, pace, active, bound, group, workers, threads,
        alone_runs, ahead, in_group, tags, bulk,
    ) = answer  # fmt: skip
    return Standing(
        now=moment(now),
        ready_at=moment(ready),
        expires_at=moment_or_none(expires),
        alone=alone,
        elsewhere=left,
        paused=paused,
        until=moment_or_none(until),
        mending=moment_or_none(mending),
        behind=UUID(behind) if behind else None,
        pace=_pace(pace),
        active=active,
        most=bound or None,
        group=_group(group),
        limits=tuple(limits),
        hands=hands_of(_workers(workers, threads)),
        alone_runs=alone_runs,
        tags=tuple(tags or ()),
        bulk=Bulked(bulk[0], bulk[1], moment(bulk[2])) if bulk else None,
        ahead=min(ahead, MOST_AHEAD),
        ahead_in_group=min(in_group, MOST_AHEAD),
        is_more=ahead > MOST_AHEAD,
    )


def _pace(told: Sequence[Any] | bool) -> Pace | None:
    if isinstance(told, bool):
        return None
    limit, per, taken, ends = told
    # an empty table of Lua's is an empty object
    return Pace(RateLimit(limit, per=per / 1_000_000), taken, tuple(map(moment, ends)) if ends else ())


def _group(told: Sequence[Any] | bool) -> GroupStanding | None:
    if isinstance(told, bool):
        return None
    name, paused, until, concurrency, active, pace = told
    return GroupStanding(name, paused, moment_or_none(until), concurrency or None, active, _pace(pace))


def _workers(told: Sequence[Any], threads: int | bool) -> Iterator[tuple[int, int, bool]]:
    for words, paused, held in told or ():
        kind, _host, _pid, own = json.loads(words)
        if kind == "worker":
            yield threads or own, held, paused
