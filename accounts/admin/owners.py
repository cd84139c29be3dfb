"""What deleting people or memberships in the admin must not do: leave an organization without an owner."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from ..members import leaves_no_owner, lock_members
from ..models import Membership


class KeepsOwners:
    """For an admin whose rows are memberships, or take memberships along."""

    #: by which lookup the memberships are found that go with rows of these keys
    memberships_by: str

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """An organization without an owner has nobody who could mend that."""
        names, numbers, forbidden, hindrances = super().get_deleted_objects(objs, request)  # type: ignore[misc]
        going = Membership.objects.filter(**{self.memberships_by: [one.pk for one in objs]})
        if request.method == "POST":
            with transaction.atomic():  # the one of the page itself, which deletes
                lock_members(going.values_list("organization", flat=True))
        if leaves_no_owner(going):
            hindrances = [*hindrances, _("the last owner of an organization; make somebody else an owner first")]
        return names, numbers, forbidden, hindrances

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any) -> Any:
        """In one transaction, as Django's own pages: what was looked at is what is deleted."""
        with transaction.atomic():
            response: HttpResponse | None = super().response_action(request, queryset, *args, **kwargs)  # type: ignore[misc]
        return response
