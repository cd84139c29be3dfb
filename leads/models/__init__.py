"""The product's own tables."""

from .consent import ConsentAct, ConsentPurpose, ConsentRecord, ConsentSource
from .effect import Effect, EffectState
from .lead import Activity, Lead, LeadSource, LeadStatus, Note
from .limit import Limit
from .organization import ApiKey, Membership, Organization, Role
from .submission import OPEN, Channel, CrmDelivery, Submission, SubmissionState, hash_of_fields

__all__ = [
    "OPEN",
    "Activity",
    "ApiKey",
    "Channel",
    "ConsentAct",
    "ConsentPurpose",
    "ConsentRecord",
    "ConsentSource",
    "CrmDelivery",
    "Effect",
    "EffectState",
    "Lead",
    "LeadSource",
    "LeadStatus",
    "Limit",
    "Membership",
    "Note",
    "Organization",
    "Role",
    "Submission",
    "SubmissionState",
    "hash_of_fields",
]
