"""Addresses of leads."""

from django.urls import path

from . import api, views

app_name = "leads"
urlpatterns = [
    path("api/leads/", api.leads, name="api"),
    path("api/openapi.json", api.openapi, name="openapi"),
    path("api/docs/", api.docs, name="api_docs"),
    path("forms/<slug:slug>/", views.form, name="form"),
    path("forms/<slug:slug>/thanks/", views.thanks, name="thanks"),
    path("leads/<uuid:lead_id>/", views.lead, name="lead"),
]
