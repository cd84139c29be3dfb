"""Saved filters of the job list: save, rename, share, show first, delete."""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from ..conf import jobs_settings
from ..errors import InvalidOption, Refused
from ..models import SavedFilter
from .audit import note
from .reach import has_permission, visible_scopes

#: What it takes to share one, beside seeing everybody's jobs.
SHARE = "jobs.share_filter"
#: Filters that one person may have, and characters of a name and of an address.
MOST, LONGEST_NAME, LONGEST_ADDRESS = 50, 60, 2_000


def filters_for(by: AbstractBaseUser) -> list[SavedFilter]:
    """The person's own, and those that are shared for who sees everybody's jobs, by their names.

    Whoever shares one sees everybody's jobs: its name and its words may tell of any organization.
    """
    seen = Q(by_id=str(by.pk))
    rows = _all().filter(seen | Q(shared=True) if visible_scopes(by) is None else seen)
    return list(rows.order_by("name", "pk")[: 2 * MOST])


def default_of(by: AbstractBaseUser) -> SavedFilter | None:
    """The one that the person sees first."""
    return _all().filter(by_id=str(by.pk), is_default=True).first()


def may_share(by: AbstractBaseUser) -> bool:
    """Whether this person may share a filter with everybody."""
    return has_permission(by, SHARE) and visible_scopes(by, SHARE) is None


def save_filter(name: str, address: str, by: AbstractBaseUser, *, shared: bool = False) -> SavedFilter:
    """Save the list's address under this name; raises `InvalidOption` and `Refused`."""
    name = _checked_name(name)
    if not address:
        raise InvalidOption(_("nothing is filtered: choose a filter or type a query first"))
    if len(address) > LONGEST_ADDRESS:
        raise InvalidOption(_("the filter is too long to be saved: take something out of it"))
    _check_share(by, shared=shared)
    own = _all().filter(by_id=str(by.pk))
    if own.count() >= MOST:
        raise Refused(_("you have %(most)d saved filters: delete one first") % {"most": MOST})
    _check_free(own, name)
    row = own.create(name=name, by_id=str(by.pk), address=address, shared=shared)
    if shared:
        note(by, row, _("Shared: %(address)s") % {"address": address})
    return row


def change_filter(id: int, by: AbstractBaseUser, *, name: str, shared: bool, is_default: bool) -> SavedFilter:
    """Change one of the person's own; raises `InvalidOption` and `Refused`."""
    row = _own(id, by)
    name = _checked_name(name)
    if shared and not row.shared:
        _check_share(by, shared=True)
    own = _all().filter(by_id=str(by.pk)).exclude(pk=row.pk)
    _check_free(own, name)
    told = (row.shared, row.name) != (shared, name) and (row.shared or shared)
    with transaction.atomic(using=row._state.db):
        if is_default:
            own.filter(is_default=True).update(is_default=False)
        row.name, row.shared, row.is_default = name, shared, is_default
        row.save()
        if told:
            note(by, row, _("Renamed or shared.") if shared else _("Shared no more."))
    return row


def delete_filter(id: int, by: AbstractBaseUser) -> None:
    """Delete one of the person's own, or, by who may share them, a shared one; raises `Refused`."""
    row = _all().filter(pk=id, shared=True).first() if may_share(by) else None
    row = row or _own(id, by)
    if row.shared:
        note(by, row, _("Deleted."))
    row.delete()


def _all() -> QuerySet[SavedFilter]:
    return SavedFilter.objects.using(jobs_settings().database)


def _own(id: int, by: AbstractBaseUser) -> SavedFilter:
    row = _all().filter(pk=id, by_id=str(by.pk)).first()
    if row is None:
        raise Refused(_("this saved filter is not yours, or is not there any more"))
    return row


def _checked_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidOption(_("'%(name)s': a name has 1 to %(most)d characters") % {"name": name, "most": LONGEST_NAME})
    return name


def _check_free(own: QuerySet[SavedFilter], name: str) -> None:
    if own.filter(name=name).exists():
        raise InvalidOption(_("you have a filter '%(name)s' already: give another name") % {"name": name})


def _check_share(by: AbstractBaseUser, *, shared: bool) -> None:
    if shared and not may_share(by):
        raise Refused(_("you may not share filters with everybody; save it for yourself"))
