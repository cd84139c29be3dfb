"""The product's own tables."""

from .consent import ConsentAct, ConsentPurpose, ConsentRecord, ConsentSource
from .crm import CrmWebhook
from .effect import Effect, EffectState
from .lead import CLOSED, Activity, Lead, LeadSource, LeadStatus, Note
from .lead_import import UNDER_WAY, ImportPiece, ImportState, KnownLeads, LeadImport, packed, unpacked
from .submission import OPEN, Channel, CrmDelivery, Submission, SubmissionState, hash_of_fields

__all__ = [
    "CLOSED",
    "OPEN",
    "UNDER_WAY",
    "Activity",
    "Channel",
    "ConsentAct",
    "ConsentPurpose",
    "ConsentRecord",
    "ConsentSource",
    "CrmDelivery",
    "CrmWebhook",
    "Effect",
    "EffectState",
    "ImportPiece",
    "ImportState",
    "KnownLeads",
    "Lead",
    "LeadImport",
    "LeadSource",
    "LeadStatus",
    "Note",
    "Submission",
    "SubmissionState",
    "hash_of_fields",
    "packed",
    "unpacked",
]
