"""The states of leads and of what is sent to them, as coloured words."""

from __future__ import annotations

from django import template
from django.utils.safestring import SafeString

from admin_lists.marks import marked

from ..admin.marks import EFFECT, STATUS
from ..models import Lead
from ..models.effect import Effect

register = template.Library()


@register.filter
def status_mark(lead: Lead) -> SafeString:
    """How far the lead has come."""
    return marked(STATUS[lead.status], lead.get_status_display(), lead.status)


@register.filter
def effect_mark(effect: Effect) -> SafeString:
    """What has become of a mail, a message or a delivery."""
    return marked(EFFECT[effect.state], effect.get_state_display(), effect.state)
