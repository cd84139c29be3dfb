"""Organizations, their members, and who is asked to become one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from admin_lists.marks import Mark

from ..models import Invitation, Membership, Role, User
from ..roles import may_give
from ..services import (
    add_member,
    change_role,
    check_invitation,
    invite_member,
    keep_an_owner,
    remove_member,
    withdraw_invitation,
)
from .owners import KeepsOwners
from .scope import ScopedAdmin, signed_in

INVITATION: Mapping[str, Mark] = {
    Invitation.State.OPEN: Mark("wait", "ring"),
    Invitation.State.ACCEPTED: Mark("good", "check"),
    Invitation.State.WITHDRAWN: Mark("quiet", "undo"),
}


class OrganizationAdmin(ScopedAdmin):
    """Organizations."""

    organization_path = "pk"
    page_key = ("name", "pk")
    newest_first = False
    list_display = ("name", "slug", "language", "country", "created_at")
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    empty_text = gettext_lazy("A company that works with leads. Add the first one, then invite its people.")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """Whose name the site's mail provider lets it write in is known to who runs the site."""
        return ("created_at",) if signed_in(request).is_superuser else ("mail_from", "created_at")


class MembershipAdmin(KeepsOwners, ScopedAdmin):
    """Members; a new one is announced, and an organization keeps an owner."""

    memberships_by = "pk__in"
    list_display = ("user", "organization", "role", "language", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "organization")
    search_fields = ("user__email", "user__first_name", "user__last_name")
    autocomplete_fields = ("user",)
    empty_text = gettext_lazy(
        "Who belongs to which organization, and in which role. People whom you invite appear here when they join."
    )
    readonly_fields = ("created_at",)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """Who belongs where is decided when the membership is made."""
        return ("user", "organization", "created_at") if obj else ("created_at",)

    def get_form(
        self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm[Any]]:
        """A form that knows who gives the role."""
        form: type[forms.ModelForm[Any]] = super().get_form(request, obj, change, **kwargs)
        return type("MembershipForm", (_GivesRoles, form), {"by": signed_in(request)})

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Of nobody above oneself."""
        return super().has_change_permission(request, obj) and _is_not_above(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Of nobody above oneself."""
        return super().has_delete_permission(request, obj) and _is_not_above(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm[Any], change: bool) -> None:
        """Through the services: a new member is announced, and an organization keeps an owner."""
        if change:
            change_role(obj, form.cleaned_data["role"])
            super().save_model(request, obj, form, change)
            return
        made: Membership = add_member(obj.organization, obj.user, role=obj.role, language=obj.language)
        obj.pk, obj._state.adding = made.pk, False

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Through the service; what hinders it was said before."""
        remove_member(obj)


class InvitationAdmin(ScopedAdmin):
    """Invitations: mailed, sent again, withdrawn; nobody can invite into a role above their own."""

    list_display = ("email", "organization", "role", "state", "sent_at", "invited_by")
    list_filter = ("state",)
    list_select_related = ("organization", "invited_by")
    search_fields = ("email",)
    fields = ("organization", "email", "role", "language", "state", "invited_by", "created_at", "sent_at", "ended_at")
    actions = ("send_again", "withdraw")
    marks = {"state": INVITATION}
    empty_text = gettext_lazy(
        "Invite people by their e-mail address: they get a link, choose a password, and are members."
    )
    goes_along = True

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """What was mailed is not changed: withdraw it, and invite anew."""
        shown = ("state", "invited_by", "created_at", "sent_at", "ended_at")
        return ("organization", "email", "role", "language", *shown) if obj else shown

    def get_form(
        self, request: HttpRequest, obj: Model | None = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm[Any]]:
        """A form that knows who invites."""
        form: type[forms.ModelForm[Any]] = super().get_form(request, obj, change, **kwargs)
        return type("InvitationForm", (_Invites, form), {"by": signed_in(request)})

    def save_model(self, request: HttpRequest, obj: Any, form: forms.ModelForm[Any], change: bool) -> None:
        """Through the service, which has the mail sent."""
        if change:
            return
        invited = invite_member(
            obj.organization, obj.email, role=obj.role, language=obj.language, by=signed_in(request)
        )
        obj.pk, obj._state.adding = invited.pk, False

    @admin.action(description=gettext_lazy("Send the selected invitations again"), permissions=["change"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        """A new link by mail; the one before it ends."""
        sent = 0
        for one in queryset.filter(state=Invitation.State.OPEN).select_related("organization"):
            try:
                invite_member(one.organization, one.email, role=one.role, language=one.language, by=signed_in(request))
            except ValidationError as error:
                messages.error(request, f"{one.email}: {' '.join(error.messages)}")
                continue
            sent += 1
            self.log_change(request, one, _("Sent again."))
        text = ngettext("%d invitation is being sent.", "%d invitations are being sent.", sent)
        messages.success(request, text % sent)

    @admin.action(description=gettext_lazy("Withdraw the selected invitations"), permissions=["change"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        """The links lead nowhere from now on."""
        count = 0
        for one in queryset:
            if not _is_not_above(request, one):
                text = _("You can withdraw invitations into your own role or one below it.")
                messages.error(request, f"{one.email}: {text}")
            elif withdraw_invitation(one.pk):
                count += 1
                self.log_change(request, one, _("Withdrawn."))
        text = ngettext("%d invitation was withdrawn.", "%d invitations were withdrawn.", count)
        messages.success(request, text % count)


class _GivesRoles:
    """For a membership's form: nobody gives a role above their own, and the last owner keeps theirs."""

    by: User

    def clean(self) -> Any:
        cleaned = super().clean()  # type: ignore[misc]
        membership: Membership = self.instance  # type: ignore[attr-defined]
        role = self.cleaned_data.get("role")  # type: ignore[attr-defined]
        organization = self.cleaned_data.get("organization") or getattr(membership, "organization", None)  # type: ignore[attr-defined]
        if role is None or organization is None:
            return cleaned
        if not may_give(self.by, organization.pk, role):
            self.add_error("role", _("You can give people your own role or one below it."))  # type: ignore[attr-defined]
        elif not membership._state.adding and role != Role.OWNER:
            try:
                keep_an_owner(membership)
            except ValidationError as error:
                self.add_error("role", error)  # type: ignore[attr-defined]
        return cleaned


class _Invites:
    """For an invitation's form."""

    by: User

    def clean(self) -> Any:
        cleaned = super().clean()  # type: ignore[misc]
        organization, role = self.cleaned_data.get("organization"), self.cleaned_data.get("role")  # type: ignore[attr-defined]
        email = self.cleaned_data.get("email")  # type: ignore[attr-defined]
        if organization is not None and role is not None and email is not None:
            # the page's transaction keeps it so until the invitation is stated
            check_invitation(organization, email, role=role, by=self.by)
        return cleaned


def _is_not_above(request: HttpRequest, row: Membership | Invitation | None) -> bool:
    return row is None or may_give(signed_in(request), row.organization_id, row.role)
