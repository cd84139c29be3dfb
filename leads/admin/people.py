"""Who may sign in, and what they may do: Django's own pages, as lists that may grow, in the reader's language."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Permission
from django.forms import ModelMultipleChoiceField
from django.http import HttpRequest
from django.utils.translation import gettext as _

from admin_lists.keyset_admin import KeysetAdmin

from .scope import PeopleScopedAdmin, own_organization_ids, signed_in


class PermissionChoices(ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Permissions by their names in the reader's language; the database holds the English ones."""

    def label_from_instance(self, obj: Any) -> str:
        """For example "Jobs | job | Can cancel jobs"."""
        permission: Permission = obj
        return f"{permission.content_type} | {permission_name(permission)}"


class TranslatesPermissions:
    """For an admin whose form offers permissions."""

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any) -> Any:
        """Let the permissions' field have translated labels."""
        if db_field.related_model is Permission:
            kwargs.setdefault("queryset", Permission.objects.select_related("content_type"))
            kwargs["form_class"] = PermissionChoices
        return super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]


class PersonAdmin(TranslatesPermissions, PeopleScopedAdmin, UserAdmin):  # type: ignore[type-arg]
    """Users by name: those of the own organisations, and nobody gives rights away who is not a superuser."""

    person_path = "pk"
    page_key = ("username", "pk")
    newest_first = False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Who may do what is decided by superusers: whoever can give rights can give them to themselves."""
        shown = tuple(super().get_readonly_fields(request, obj))
        if signed_in(request).is_superuser:
            return shown
        return (*shown, "is_staff", "is_superuser", "groups", "user_permissions")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Also a password: of nobody who can do more, or who belongs to others as well."""
        return super().has_change_permission(request, obj) and _is_own(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Of nobody who can do more, or who belongs to others as well."""
        return super().has_delete_permission(request, obj) and _is_own(request, obj)


class PeopleGroupAdmin(TranslatesPermissions, KeysetAdmin, GroupAdmin):
    """Groups by name."""

    page_key = ("name", "pk")
    newest_first = False


def _is_own(request: HttpRequest, person: Any) -> bool:
    if person is None or signed_in(request).is_superuser:
        return True
    elsewhere = person.memberships.exclude(organization_id__in=own_organization_ids(request))
    return not person.is_superuser and not elsewhere.exists()


def permission_name(permission: Permission) -> str:
    """What the permission allows: its model's own words, or one of the four that Django gives every model."""
    kind = permission.content_type.name
    texts = {
        "add": _("Can add: %(kind)s"),
        "change": _("Can change: %(kind)s"),
        "delete": _("Can delete: %(kind)s"),
        "view": _("Can view: %(kind)s"),
    }
    action, _sign, model = permission.codename.partition("_")
    if model == permission.content_type.model and action in texts:
        return texts[action] % {"kind": kind}
    return _(permission.name)
