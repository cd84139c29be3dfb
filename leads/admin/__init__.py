"""Leads for staff."""

from django.contrib import admin

from ..models import ApiKey, CrmDelivery, Lead, Membership, Organization, Submission
from .lead import LeadAdmin
from .organization import ApiKeyAdmin, MembershipAdmin, OrganizationAdmin
from .submission import CrmDeliveryAdmin, SubmissionAdmin

admin.site.register(Organization, OrganizationAdmin)
admin.site.register(Membership, MembershipAdmin)
admin.site.register(ApiKey, ApiKeyAdmin)
admin.site.register(Lead, LeadAdmin)
admin.site.register(Submission, SubmissionAdmin)
admin.site.register(CrmDelivery, CrmDeliveryAdmin)
