"""Who may sign in, and what they may do: Django's own pages, as lists that may grow, in the reader's language."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Permission
from django.forms import ModelMultipleChoiceField
from django.http import HttpRequest
from django.utils.translation import gettext as _

from admin_lists.keyset_admin import KeysetAdmin


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


class PersonAdmin(TranslatesPermissions, KeysetAdmin, UserAdmin):  # type: ignore[type-arg]
    """Users by name."""

    page_key = ("username", "pk")
    newest_first = False


class PeopleGroupAdmin(TranslatesPermissions, KeysetAdmin, GroupAdmin):
    """Groups by name."""

    page_key = ("name", "pk")
    newest_first = False


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
