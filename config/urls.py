"""Where each address leads."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="notifications:inbox"), name="home"),
    path("admin/", admin.site.urls),
    path(
        "accounts/login/",
        LoginView.as_view(template_name="leads/login.html", next_page="notifications:inbox"),
        name="login",
    ),
    path("accounts/logout/", LogoutView.as_view(next_page="login"), name="logout"),
    path("", include("leads.urls")),
    path("notifications/", include("notifications.urls")),
    path("mail/", include("emails.urls")),
]
