"""The sub-commands of `manage.py jobs`, a file for each sort: looking, acting on jobs, changing them, taking away."""

from __future__ import annotations

from jobs.management.actions.act import CANCEL, ENQUEUE, PAUSE, PROMOTE, RESUME, RETRY
from jobs.management.actions.action import Action
from jobs.management.actions.batches import BATCHES
from jobs.management.actions.change import DISCARD, EDIT, PRIORITY, RESCHEDULE
from jobs.management.actions.dead import DEAD
from jobs.management.actions.deploy import DEPLOY
from jobs.management.actions.events import EVENTS
from jobs.management.actions.groups import GROUPS
from jobs.management.actions.key import KEY
from jobs.management.actions.limits import LIMITS
from jobs.management.actions.logs import LOGS
from jobs.management.actions.look import LIST, SHOW, STATUS
from jobs.management.actions.mend import DOCTOR, OBLITERATE
from jobs.management.actions.metrics import METRICS
from jobs.management.actions.move import MOVE
from jobs.management.actions.remove import CLEAN, DRAIN, ERASE
from jobs.management.actions.schedules import SCHEDULES
from jobs.management.actions.stack import STACK
from jobs.management.actions.top import TOP
from jobs.management.actions.why import WHY
from jobs.management.actions.workers import WORKERS

__all__ = ["ACTIONS", "Action"]

ACTIONS: tuple[Action, ...] = (
    *(STATUS, TOP, LIST, SHOW, WHY, STACK, LOGS, EVENTS, KEY, DEAD, BATCHES, GROUPS),
    *(ENQUEUE, RETRY, CANCEL, PROMOTE, PAUSE, RESUME, LIMITS),
    *(RESCHEDULE, PRIORITY, EDIT, DISCARD),
    *(DRAIN, CLEAN, ERASE, MOVE),
    *(DOCTOR, OBLITERATE, METRICS),
    *(SCHEDULES, WORKERS, DEPLOY),
)
