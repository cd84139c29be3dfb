"""Who may sign in, and what they may do: Django's own pages, as lists that may grow, in the reader's language."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.contrib.auth.models import Permission
from django.forms import ModelMultipleChoiceField
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from admin_lists.keyset_admin import KeysetAdmin

from ..models import User
from .owners import KeepsOwners
from .scope import PeopleScopedAdmin, signed_in


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


class NewPersonForm(AdminUserCreationForm):  # type: ignore[type-arg]
    """A person, by address; without a password, one chooses it through “Forgot your password?”."""

    class Meta:
        model = User
        fields = ("email", "first_name", "last_name")


#: As Django's form for a new user has them.
_NEW_PASSWORD = ("usable_password", "password1", "password2")


class PersonAdmin(KeepsOwners, TranslatesPermissions, PeopleScopedAdmin, UserAdmin):  # type: ignore[type-arg]
    """Users by address: those of the own organisations, and nobody gives rights away who is not a superuser."""

    person_path = "pk"
    memberships_by = "user__in"
    page_key = ("email", "pk")
    newest_first = False
    ordering = ("email",)
    add_form = NewPersonForm
    list_display = ("email", "first_name", "last_name", "is_active", "is_staff")
    list_filter = ("is_staff", "is_superuser", "is_active", "groups")
    search_fields = ("email", "first_name", "last_name")
    fieldsets = (
        (None, {"fields": ("email", "password")}),
        (gettext_lazy("Personal info"), {"fields": ("first_name", "last_name", "wants_digest")}),
        (
            gettext_lazy("Permissions"),
            {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")},
        ),
        (gettext_lazy("Important dates"), {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "first_name", "last_name", *_NEW_PASSWORD)}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Who may do what is decided by superusers: whoever can give rights can give them to themselves."""
        shown = tuple(super().get_readonly_fields(request, obj))
        if signed_in(request).is_superuser:
            return shown
        # the last owner would lock the organization
        own = ("is_active",) if obj is not None and obj.pk == signed_in(request).pk else ()
        return (*shown, *own, "is_staff", "is_superuser", "groups", "user_permissions")


class PeopleGroupAdmin(TranslatesPermissions, KeysetAdmin, GroupAdmin):
    """Groups by name; who changes one gives rights to all in it, and perhaps to themselves: superusers do."""

    page_key = ("name", "pk")
    newest_first = False
    empty_text = gettext_lazy(
        "A group gives several people the same permissions. Add one, then choose it on a person’s page."
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Superusers."""
        return signed_in(request).is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers."""
        return signed_in(request).is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers."""
        return signed_in(request).is_superuser


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
