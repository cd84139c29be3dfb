"""Addresses of the members' pages of campaigns."""

from django.urls import path

from . import acting, mails, views, writing

app_name = "campaigns"
urlpatterns = [
    path("", views.campaigns, name="list"),
    path("new/", writing.add, name="new"),
    path("<uuid:campaign_id>/", views.campaign, name="campaign"),
    path("<uuid:campaign_id>/progress/", views.progress, name="progress"),
    path("<uuid:campaign_id>/preview/", views.preview, name="preview"),
    path("<uuid:campaign_id>/edit/", writing.edit, name="edit"),
    path("<uuid:campaign_id>/delete/", writing.delete, name="delete"),
    path("<uuid:campaign_id>/test/", acting.test, name="test"),
    path("<uuid:campaign_id>/start/", acting.start, name="start"),
    path("<uuid:campaign_id>/unschedule/", acting.unschedule, name="unschedule"),
    path("<uuid:campaign_id>/pause/", acting.pause, name="pause"),
    path("<uuid:campaign_id>/resume/", acting.resume, name="resume"),
    path("<uuid:campaign_id>/cancel/", acting.cancel, name="cancel"),
    path("<uuid:campaign_id>/emails/", mails.mails, name="mails"),
    path("<uuid:campaign_id>/emails/<uuid:message_id>/again/", mails.again, name="again"),
]
