"""`manage.py jobs dead`: dead letters by cause, and what is done with a cause; nothing asks back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from jobs.history import causes
from jobs.history.causes import DeadCause
from jobs.history.lookup import Capped
from jobs.history.mended import since_last
from jobs.management.actions.action import Action, Paper
from jobs.management.actions.words import age, moment, pace, whole
from jobs.operate.dead_letters import discard_dead_letters
from jobs.operate.retry_cause import retry_cause
from jobs.reasons import translated

MOST = 1_000_000_000
#: Options that go with an act only.
OF_ACTS = ("older_than", "limit", "dry_run")


def _arguments(parser: CommandParser) -> None:
    parser.add_argument("cause", nargs="?", default="", metavar=_("CAUSE"), help=_("One cause, as the list names it."))
    act = parser.add_mutually_exclusive_group()
    act.add_argument("--retry", action="store_true", help=_("Retry the cause's dead letters."))
    act.add_argument("--discard", action="store_true", help=_("Give up the cause's dead letters, or the queue's."))
    parser.add_argument("--queue", metavar=_("QUEUE"), help=_("Only this queue's dead letters."))
    parser.add_argument("--pace", type=pace, metavar=_("PACE"), help=_("With --retry: spread them: 10/s, 100/m."))
    parser.add_argument(
        "--before", type=moment, metavar=_("TIME"), help=_("With --retry: only what failed before: 2027-01-31T09:00Z.")
    )
    parser.add_argument(
        "--older-than",
        type=age,
        metavar=_("AGE"),
        help=_("With --discard: only what failed at least so long ago: 45s, 30m, 12h, 7d."),
    )
    parser.add_argument("--limit", type=whole(1, MOST), metavar=_("NUMBER"), help=_("At most so many."))
    parser.add_argument("--dry-run", action="store_true", help=_("With --discard: say how many, and change nothing."))


def _dead(paper: Paper, options: Mapping[str, Any]) -> None:
    for name, act in (("pace", "retry"), ("before", "retry"), ("older_than", "discard"), ("dry_run", "discard")):
        if options[name] and not options[act]:
            text = _("--%(option)s goes with --%(act)s")
            raise CommandError(text % {"option": name.replace("_", "-"), "act": act}, returncode=2)
    if options["retry"]:
        _retry(paper, options)
    elif options["discard"]:
        _discard(paper, options)
    elif options["cause"]:
        _show(paper, options["cause"])
    else:
        _list(paper, options)


def _retry(paper: Paper, options: Mapping[str, Any]) -> None:
    if not options["cause"] or options["queue"]:
        raise CommandError(_("--retry goes with a cause"), returncode=2)
    chosen = {name: options[name] for name in ("pace", "before", "limit")}
    done = retry_cause(options["cause"], **chosen)
    if paper.as_json:
        paper.document({"cause": options["cause"], **asdict(done)})
        return
    text = ngettext("%(count)d job retried", "%(count)d jobs retried", done.retried)
    paper.say(text % {"count": done.retried})
    if done.refused:
        text = _("refused, as another live job holds their key: %(count)d")
        paper.say(text % {"count": done.refused})
    if options["pace"] and done.until is not None:
        paper.say(_("the last one is due at %(time)s") % {"time": _time(done.until)})


def _discard(paper: Paper, options: Mapping[str, Any]) -> None:
    cause, queue = options["cause"], options["queue"] or ""
    if bool(cause) == bool(queue):
        raise CommandError(_("--discard goes with either a cause or --queue QUEUE"), returncode=2)
    chosen = {name: options[name] for name in OF_ACTS}
    count = discard_dead_letters(cause=cause, queue=queue, **chosen)
    if paper.as_json:
        paper.document({"cause": cause, "queue": queue, "discarded": count, "dry_run": options["dry_run"]})
        return
    if options["dry_run"]:
        text = ngettext("%(count)d job would be discarded", "%(count)d jobs would be discarded", count)
    else:
        text = ngettext("%(count)d job discarded", "%(count)d jobs discarded", count)
    paper.say(text % {"count": count})


def _show(paper: Paper, cause: str) -> None:
    known = causes.check(cause)
    found = causes.look(cause)
    if found is None:
        if paper.as_json:
            paper.document({"id": cause, "task": known.task, "count": 0})
        else:
            paper.say(_("%(task)s: no dead letter has this cause any more") % {"task": known.task})
        return
    if paper.as_json:
        paper.document(_document(found))
        return
    lines = [
        (_("cause"), found.id),
        (_("task"), found.task),
        (_("queue"), found.queue),
        (_("error"), translated(found.error)),
        (_("dead letters"), str(Capped(found.count, found.more))),
        (_("first"), _time(found.first_at)),
        (_("last"), _time(found.last_at)),
        (_("first seen in release"), found.first_release or "–"),
        (_("last seen in release"), found.last_release or "–"),
        (_("last 24 hours"), " ".join(map(str, found.hours))),
        (_("since then"), since_last(found).text),
        (_("the last one"), str(found.newest)),
    ]
    paper.table((), lines)


def _list(paper: Paper, options: Mapping[str, Any]) -> None:
    found = causes.dead_letters_by_cause(options["queue"] or "", options["limit"] or causes.TOLD)
    waiting = causes.ungrouped()[: causes.MOST].count()
    if paper.as_json:
        paper.document({"causes": [_document(one) for one in found], "without_cause": waiting})
        return
    heads = (_("cause"), _("count"), _("24 h"), _("last (UTC)"), _("release"), _("queue"), _("task"), _("error"))
    lines = [
        (
            *(one.id, str(Capped(one.count, one.more)), str(sum(one.hours)), _time(one.last_at)),
            *(one.last_release or "–", one.queue, one.task, translated(one.error)[:60]),
        )
        for one in found
    ]
    paper.table(heads, lines)
    if not lines:
        paper.say(_("no dead letters"))
    if waiting:
        paper.say(_("a keeper has yet to find out the cause of others: %(count)d") % {"count": waiting})


def _document(found: DeadCause) -> dict[str, Any]:
    since = since_last(found)
    return {**asdict(found), "since": {**asdict(since), "seems_mended": since.seems_mended}}


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


DEAD = Action("dead", gettext_noop("Dead letters by cause: list, retry at a pace, discard."), _arguments, _dead)
