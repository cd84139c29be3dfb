"""Addresses of notifications."""

from django.urls import path

from . import views

app_name = "notifications"
urlpatterns = [
    path("", views.inbox, name="inbox"),
    path("unread/", views.unread, name="unread"),
    path("news/", views.news, name="news"),
    path("read/", views.read_all, name="read_all"),
    path("digest/", views.digest, name="digest"),
    path("preferences/", views.preferences, name="preferences"),
    path("<uuid:notification_id>/read/", views.read, name="read"),
]
