"""Django's admin, with a door for members."""

from django.contrib.admin.apps import AdminConfig


class MembersAdminConfig(AdminConfig):
    """Stands in INSTALLED_APPS for `django.contrib.admin`."""

    default_site = "accounts.site.MembersAdminSite"
