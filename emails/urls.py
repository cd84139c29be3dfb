"""Addresses of mails."""

from django.urls import path

from . import views

app_name = "emails"
urlpatterns = [
    path("unsubscribe/<str:token>/", views.unsubscribe, name="unsubscribe"),
    path("digest/<str:token>/", views.stop_digest, name="stop_digest"),
    path("confirm/<str:token>/", views.confirm, name="confirm"),
    path("reports/<str:provider>/", views.take_reports, name="reports"),
]
