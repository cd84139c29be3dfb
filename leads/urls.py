"""Addresses of leads."""

from django.urls import path

from . import api, views
from .pages import editing, exporting, importing
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
    path("leads/export/", exporting.export, name="export"),
    path("leads/imports/", importing.imports, name="imports"),
    path("leads/imports/<uuid:import_id>/", importing.show, name="import"),
    path("leads/imports/<uuid:import_id>/columns/", importing.mapping, name="import_mapping"),
    path("leads/imports/<uuid:import_id>/preview/", importing.preview, name="import_preview"),
    path("leads/imports/<uuid:import_id>/progress/", importing.progress, name="import_progress"),
    path("leads/imports/<uuid:import_id>/start/", importing.start, name="import_start"),
    path("leads/imports/<uuid:import_id>/cancel/", importing.cancel, name="import_cancel"),
    path("leads/imports/<uuid:import_id>/discard/", importing.discard, name="import_discard"),
    path("leads/imports/<uuid:import_id>/errors/", importing.errors, name="import_errors"),
    path("leads/<uuid:lead_id>/edit/", editing.edit, name="edit"),
    path("leads/<uuid:lead_id>/", pages.lead, name="lead"),
    path("leads/<uuid:lead_id>/<slug:name>/", pages.act, name="act"),
]
