"""The admin as it stands open to members: what they find there is decided by their role (`accounts.sight`)."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.functional import SimpleLazyObject
from django.views.decorators.cache import never_cache

from . import sight

#: Among so many of the newest things that a person did, those that are still theirs to see are looked for.
LOOKED_AT = 50


class MembersAdminSite(AdminSite):
    """Django's admin, for staff and for members; everybody signs in on the one page that there is for it."""

    site_header = site_title = "Esteira"

    def has_permission(self, request: HttpRequest) -> bool:
        """Staff, and whoever belongs to an organization."""
        user: Any = request.user
        return user.is_active and (user.is_staff or sight.is_member(user))

    def get_log_entries(self, request: HttpRequest) -> Any:
        """What the person did lately, of what they may still look at: who has left an organization finds no names."""
        # lazy: every page of the admin has them in its context, and the index alone shows them
        return SimpleLazyObject(
            lambda: self._still_seen(request, super(MembersAdminSite, self).get_log_entries(request))
        )

    def _still_seen(self, request: HttpRequest, entries: Any) -> Any:
        own = entries.filter(user_id=request.user.pk)
        newest = list(own.values_list("pk", "content_type__app_label", "content_type__model", "object_id")[:LOOKED_AT])
        pages = {(model._meta.app_label, model._meta.model_name): page for model, page in self._registry.items()}
        seen: list[int] = []
        for kind in {(app, model) for _pk, app, model, _id in newest}:
            of_kind = {pk: id for pk, app, model, id in newest if (app, model) == kind}
            shown = pages.get(kind)
            if shown is not None and shown.has_view_permission(request):
                found = shown.get_queryset(request).filter(pk__in=of_kind.values()).values_list("pk", flat=True)
                left = {str(pk) for pk in found}
                seen += [pk for pk, id in of_kind.items() if id in left]
        return own.filter(pk__in=seen)

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """To the page where one signs in; who is signed in and still has nothing here is told so."""
        index = reverse("admin:index", current_app=self.name)
        if self.has_permission(request):
            return HttpResponseRedirect(index)
        if request.user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.GET.get(REDIRECT_FIELD_NAME, index))
