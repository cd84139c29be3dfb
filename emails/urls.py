"""Addresses of mails."""

from django.urls import path

from . import views

app_name = "emails"
urlpatterns = [path("unsubscribe/<str:token>/", views.unsubscribe, name="unsubscribe")]
