"""Addresses of accounts; `login` and `logout` keep the names that Django gives them."""

from django.urls import path

from . import views

app_name = "accounts"
urlpatterns = [
    path("password/reset/", views.PasswordReset.as_view(), name="password_reset"),
    path("password/reset/sent/", views.PasswordResetSent.as_view(), name="password_reset_sent"),
    path("password/reset/done/", views.PasswordResetDone.as_view(), name="password_reset_done"),
    path("password/reset/<uidb64>/<token>/", views.PasswordResetConfirm.as_view(), name="password_reset_confirm"),
    path("invitation/", views.join, name="join"),
    path("invitation/<str:token>/", views.open_link, name="invitation"),
]
