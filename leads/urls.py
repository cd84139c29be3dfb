"""Addresses of leads."""

from django.urls import path

from . import api, views
from .pages import editing
from .pages import views as pages

app_name = "leads"
urlpatterns = [
    path("api/leads/", api.leads, name="api"),
    path("api/openapi.json", api.openapi, name="openapi"),
    path("api/docs/", api.docs, name="api_docs"),
    path("forms/<slug:slug>/", views.form, name="form"),
    path("forms/<slug:slug>/thanks/", views.thanks, name="thanks"),
    path("leads/", pages.leads, name="list"),
    path("leads/board/", pages.board, name="board"),
    path("leads/new/", editing.add, name="new"),
    path("leads/<uuid:lead_id>/edit/", editing.edit, name="edit"),
    path("leads/<uuid:lead_id>/", pages.lead, name="lead"),
    path("leads/<uuid:lead_id>/<slug:name>/", pages.act, name="act"),
]
