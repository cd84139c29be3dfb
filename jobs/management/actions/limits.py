"""`manage.py jobs limits`: which limits hold, others in their place from now on, and breakers opened and closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.defined import queues
from jobs.history.breakers import SeenBreaker, breakers, text_of_state
from jobs.history.limits import NAMES, HeldLimits, SharedLimit, limits, shared_limits, text_of_limit
from jobs.management.actions.action import Action, Paper
from jobs.management.actions.words import limit_of
from jobs.operate.breakers import close_breaker, open_breaker
from jobs.operate.limits import set_limits
from jobs.policy import RateLimit


def _arguments(parser: CommandParser) -> None:
    parser.add_argument("queue", nargs="?", metavar=_("QUEUE"), help=_("Only this queue; needed to change one."))
    parser.add_argument(
        "--rate-limit",
        type=limit_of("rate_limit"),
        metavar=_("LIMIT"),
        help=_("At most so many starts: 10/1 (in one second), 100/m, none, or code (what the code says)."),
    )
    parser.add_argument(
        "--concurrency",
        type=limit_of("concurrency"),
        metavar=_("NUMBER"),
        help=_("Threads of each worker process, or code (what the code says)."),
    )
    parser.add_argument(
        "--global-concurrency",
        type=limit_of("global_concurrency"),
        metavar=_("NUMBER"),
        help=_("At most so many of its jobs run at once, over all machines; none, or code."),
    )
    parser.add_argument(
        "--open", metavar=_("BREAKER"), help=_("Let no job start of the tasks of this breaker until it is closed.")
    )
    parser.add_argument("--close", metavar=_("BREAKER"), help=_("Close a breaker: the jobs of its tasks start again."))


def _limits(paper: Paper, options: Mapping[str, Any]) -> None:
    # None is what argparse has where nothing was given, so a value comes in a list
    changed = {name: options[name][0] for name in NAMES if options[name] is not None}
    if options["open"]:
        open_breaker(options["open"])
    if options["close"]:
        close_breaker(options["close"])
    if changed and not options["queue"]:
        raise CommandError(_("say which queue: manage.py jobs limits QUEUE --concurrency 10"), returncode=2)
    if changed:
        found = [set_limits(options["queue"], **changed)]
    else:
        found = [limits(name) for name in ([options["queue"]] if options["queue"] else queues())]
    if paper.as_json:
        documents: dict[str, Any] = {"queues": [document_of(one) for one in found]}
        if not options["queue"]:
            documents["shared"] = [_shared(one) for one in shared_limits()]
            documents["breakers"] = [_breaker(one) for one in breakers()]
        paper.document(documents)
        return
    heads = (_("queue"), _("rate limit"), _("concurrency (a process)"), _("concurrency (everywhere)"))
    paper.table(heads, [(one.queue, *(_shown(one, name) for name in NAMES)) for one in found])
    shared = [] if options["queue"] else shared_limits()
    if shared:
        paper.say("")
        heads = (_("limit"), _("starts"), _("in this period"), _("tasks"))
        lines = [
            (one.limit.name, text_of_limit(one.limit.rate_limit), str(one.starts), ", ".join(one.tasks))
            for one in shared
        ]
        paper.table(heads, lines)
    if not options["queue"] and (seen := breakers()):
        paper.say("")
        of_breakers = (_("breaker"), _("state"), _("since"), _("failures"), _("next probe"), _("tasks"))
        paper.table(of_breakers, [_line_of(one) for one in seen])


def _line_of(one: SeenBreaker) -> tuple[str, ...]:
    rule = one.breaker
    failures = _("%(failures)d of %(most)d in %(within)s s")
    return (
        rule.name,
        text_of_state(one),
        "" if one.since is None else one.since.isoformat(" ", "seconds"),
        failures % {"failures": one.failures, "most": rule.failures, "within": f"{rule.within:.15g}"},
        "" if one.next_probe is None else one.next_probe.isoformat(" ", "seconds"),
        ", ".join(one.tasks),
    )


def _breaker(one: SeenBreaker) -> dict[str, Any]:
    rule = one.breaker
    return {
        "breaker": rule.name,
        "rule": {"failures": rule.failures, "within": rule.within, "probe_after": rule.probe_after},
        "state": one.state,
        "since": None if one.since is None else one.since.isoformat(),
        "by_hand": one.by_hand,
        "failures": one.failures,
        "next_probe": None if one.next_probe is None else one.next_probe.isoformat(),
        "tasks": list(one.tasks),
    }


def document_of(held: HeldLimits) -> dict[str, Any]:
    """What holds, what the code says, and which were set at run time."""
    return {
        "queue": held.queue,
        **{name: _plain(getattr(held, name)) for name in NAMES},
        "set_at_run_time": list(held.set_at_run_time),
        "in_code": {name: _plain(value) for name, value in held.in_code.items()},
    }


def _shared(one: SharedLimit) -> dict[str, Any]:
    rule = _plain(one.limit.rate_limit)
    return {"limit": one.limit.name, "rate_limit": rule, "starts_in_period": one.starts, "tasks": list(one.tasks)}


def _shown(held: HeldLimits, name: str) -> str:
    text = text_of_limit(getattr(held, name))
    if name in held.set_at_run_time:
        return _("%(limit)s (in the code: %(other)s)") % {"limit": text, "other": text_of_limit(held.in_code[name])}
    return text


def _plain(value: RateLimit | int | None) -> dict[str, float] | int | None:
    return {"limit": value.limit, "per": value.per} if isinstance(value, RateLimit) else value


LIMITS = Action("limits", gettext_noop("Show limits and breakers, change the limits of a queue."), _arguments, _limits)
