"""Many jobs by what they have in common: the options of the verbs that take ids or a filter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs import clock
from jobs.errors import JobsError
from jobs.history.choice import JobFilter
from jobs.history.lookup import STATES
from jobs.management.actions.action import Paper
from jobs.management.actions.each import DONE, each_job
from jobs.management.actions.words import age, uuid, whole
from jobs.operate.by_filter import FASTEST, Progress, act_on

#: What a filter names; one of them at least, beside the state and the age.
NAMES = ("queue", "task", "tag", "group", "scope", "query")
#: Seconds between two lines that say how far it is.
SAID_EVERY = 2.0


def chosen_arguments(parser: CommandParser) -> None:
    """Ids, or a filter."""
    parser.add_argument("ids", type=uuid, nargs="*", metavar="ID", help=_("The jobs' ids; or a filter in their place."))
    parser.add_argument("--queue", metavar=_("QUEUE"), help=_("Only this queue's jobs."))
    parser.add_argument("--task", metavar=_("TASK"), help=_("Only this task's jobs."))
    parser.add_argument("--tag", metavar=_("TAG"), help=_("Only jobs with this tag."))
    parser.add_argument("--group", metavar=_("GROUP"), help=_("Only this group's jobs."))
    parser.add_argument("--scope", metavar=_("SCOPE"), help=_("Only this scope's jobs."))
    parser.add_argument("--query", metavar=_("QUERY"), help=_("Only jobs of this query: 'attempts:>=3 ran:>5s'."))
    parser.add_argument("--state", choices=STATES, metavar=_("STATE"), help=_("Only jobs in this state."))
    parser.add_argument("--older", type=age, metavar=_("AGE"), help=_("Only jobs created so long ago: 45s, 2d."))
    parser.add_argument("--limit", type=whole(1, 1_000_000_000), metavar=_("NUMBER"), help=_("At most so many."))
    parser.add_argument("--pace", type=whole(1, FASTEST), metavar=_("NUMBER"), help=_("At most so many a second."))
    parser.add_argument("--dry-run", action="store_true", help=_("Say how many, and change nothing."))


def run_chosen(
    paper: Paper, options: Mapping[str, Any], verb: str, word: str, act: Callable[..., object], **given: Any
) -> None:
    """Do it to the jobs of these ids, or to all that the filter means."""
    named = {name: options[name] for name in NAMES if options[name]}
    if bool(options["ids"]) == bool(named):
        raise CommandError(
            _("give either ids, or one of --queue, --task, --tag, --group, --scope, --query"), returncode=2
        )
    if options["ids"]:
        if any(options[name] for name in ("state", "older", "limit", "pace", "dry_run")):
            raise CommandError(_("--state, --older, --limit, --pace and --dry-run go with a filter"), returncode=2)
        each_job(paper, options["ids"], partial(act, **given), word)
        return
    chosen = JobFilter(**named, state=options["state"] or "", older=options["older"])
    teller = _Teller(paper)
    wishes = {name: options[name] for name in ("limit", "pace", "dry_run")}
    try:
        seen = act_on(verb, chosen, **wishes, progress=teller.hear, **given)
    except KeyboardInterrupt:
        text = _("stopped after %(done)d of %(total)d jobs: the same command does the rest")
        raise CommandError(text % asdict(teller.seen), returncode=1) from None
    except JobsError as error:
        if not teller.seen.done:
            raise
        text = _("stopped after %(done)d of %(total)d jobs: %(error)s; the same command does the rest")
        raise CommandError(text % {**asdict(teller.seen), "error": error}, returncode=1) from error
    _tell(paper, verb, word, seen, dry_run=options["dry_run"])


class _Teller:
    """Says how far it is, every few seconds."""

    def __init__(self, paper: Paper) -> None:
        self.seen = Progress(0)
        self._paper, self._said = paper, clock.monotonic()

    def hear(self, seen: Progress) -> None:
        self.seen = seen
        if not self._paper.as_json and clock.monotonic() - self._said >= SAID_EVERY:
            self._said = clock.monotonic()
            self._paper.say(_("%(done)d of %(total)d jobs …") % asdict(seen))


def _tell(paper: Paper, verb: str, word: str, seen: Progress, *, dry_run: bool) -> None:
    if paper.as_json:
        paper.document({"action": verb, "dry_run": dry_run, **asdict(seen)})
        return
    if dry_run:
        paper.say(ngettext("%(total)d job is meant", "%(total)d jobs are meant", seen.total) % asdict(seen))
        return
    counted = ngettext("%(done)d job: %(what)s", "%(done)d jobs: %(what)s", seen.done)
    paper.say(counted % {"done": seen.done, "what": DONE[word]})
    if seen.refused:
        text = ngettext(
            "%(refused)d refused: %(first_refusal)s", "%(refused)d refused; the first: %(first_refusal)s", seen.refused
        )
        paper.say(text % asdict(seen))
