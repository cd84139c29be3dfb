"""Organizations and people for staff and members."""

from django.contrib import admin
from django.contrib.auth.models import Group

from ..models import ApiKey, Invitation, Membership, Organization, User
from .api_key import ApiKeyAdmin
from .organization import InvitationAdmin, MembershipAdmin, OrganizationAdmin
from .people import PeopleGroupAdmin, PersonAdmin

# Django's own was registered when `people` imported it
admin.site.unregister(Group)
admin.site.register(Group, PeopleGroupAdmin)
admin.site.register(User, PersonAdmin)
admin.site.register(Organization, OrganizationAdmin)
admin.site.register(Membership, MembershipAdmin)
admin.site.register(Invitation, InvitationAdmin)
admin.site.register(ApiKey, ApiKeyAdmin)
