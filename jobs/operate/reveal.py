"""Personal arguments shown to somebody who may see them, which is noted."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils.translation import gettext as _

from ..define.reference import HasId, id_of
from ..history import lookup
from ..history.lookup import Argument
from .audit import note

#: What it takes; no role has it, see DESIGN G13.
VIEW_PERSONAL = "jobs.view_personal_arguments"


def reveal(job: HasId | UUID | str, by: AbstractBaseUser) -> Sequence[Argument]:
    """The job's arguments as they are; that `by` looked at them stands in the job's log before they are returned.

    `masked` says which are personal. Raises `UnknownJob` and `BrokerAway`.
    """
    row = lookup.find_job(id_of(job))
    found = lookup.personal_arguments(row)
    names = ", ".join(one.name for one in lookup.arguments(row) if one.masked)
    note(by, row, _("Looked at its personal data: %(names)s.") % {"names": names or "–"})
    return found
