"""Who may sign in: Django's own pages, as lists that may grow."""

from __future__ import annotations

from django.contrib.auth.admin import GroupAdmin, UserAdmin

from admin_lists.keyset_admin import KeysetAdmin


class PersonAdmin(KeysetAdmin, UserAdmin):  # type: ignore[type-arg]
    """Users by name."""

    page_key = ("username", "pk")
    newest_first = False


class PeopleGroupAdmin(KeysetAdmin, GroupAdmin):
    """Groups by name."""

    page_key = ("name", "pk")
    newest_first = False
