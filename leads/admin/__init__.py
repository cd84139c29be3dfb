"""Leads for staff."""

from django.contrib import admin
from django.contrib.auth.models import Group, User

from ..models import ApiKey, ConsentRecord, CrmDelivery, Lead, Membership, Organization, Submission
from .lead import LeadAdmin
from .organization import ApiKeyAdmin, MembershipAdmin, OrganizationAdmin
from .people import PeopleGroupAdmin, PersonAdmin
from .submission import ConsentRecordAdmin, CrmDeliveryAdmin, SubmissionAdmin

# Django's own were registered when `people` imported them
admin.site.unregister([User, Group])
admin.site.register(User, PersonAdmin)
admin.site.register(Group, PeopleGroupAdmin)
admin.site.register(Organization, OrganizationAdmin)
admin.site.register(Membership, MembershipAdmin)
admin.site.register(ApiKey, ApiKeyAdmin)
admin.site.register(Lead, LeadAdmin)
admin.site.register(Submission, SubmissionAdmin)
admin.site.register(CrmDelivery, CrmDeliveryAdmin)
admin.site.register(ConsentRecord, ConsentRecordAdmin)
