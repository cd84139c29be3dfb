"""Where each address leads."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import include, path

from accounts.views import SignIn, home

urlpatterns = [
    path("", home, name="home"),
    path("admin/", admin.site.urls),
    path("accounts/login/", SignIn.as_view(), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("accounts/", include("accounts.urls")),
    path("", include("leads.urls")),
    path("campaigns/", include("emails.pages.urls")),
    path("notifications/", include("notifications.urls")),
    path("mail/", include("emails.urls")),
]
