"""Leads for staff and members."""

from django.contrib import admin

from ..models import ConsentRecord, CrmDelivery, CrmWebhook, Lead, Submission
from .crm import CrmWebhookAdmin
from .lead import LeadAdmin
from .submission import ConsentRecordAdmin, CrmDeliveryAdmin, SubmissionAdmin

admin.site.register(Lead, LeadAdmin)
admin.site.register(Submission, SubmissionAdmin)
admin.site.register(CrmDelivery, CrmDeliveryAdmin)
admin.site.register(CrmWebhook, CrmWebhookAdmin)
admin.site.register(ConsentRecord, ConsentRecordAdmin)
