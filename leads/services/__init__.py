"""What other code may do with leads. Each function is one transaction: the change, then its event."""

from ..changes import touch
from .consent import confirm_consent, record_consent, unsubscribe_lead, withdraw_marketing_consent
from .crm import replace_webhook_secret
from .effects import calculate_lead_score, enrich_lead_data, sync_lead_to_crm
from .erasure import erase_lead, erase_lead_by_key
from .imports import cancel_import, choose_mapping, discard_import, start_import, store_import
from .intake import (
    IdempotencyConflict,
    StillRunning,
    TooManySubmissions,
    process_submission,
    receive,
    refuse_submission,
    store_submission,
)
from .leads import (
    add_lead,
    add_note,
    assign_lead,
    change_lead_status,
    receive_lead,
    update_lead,
)

__all__ = [
    "IdempotencyConflict",
    "StillRunning",
    "TooManySubmissions",
    "add_lead",
    "add_note",
    "assign_lead",
    "cancel_import",
    "calculate_lead_score",
    "change_lead_status",
    "choose_mapping",
    "confirm_consent",
    "discard_import",
    "erase_lead",
    "erase_lead_by_key",
    "enrich_lead_data",
    "process_submission",
    "receive",
    "receive_lead",
    "record_consent",
    "refuse_submission",
    "replace_webhook_secret",
    "start_import",
    "store_import",
    "store_submission",
    "sync_lead_to_crm",
    "touch",
    "unsubscribe_lead",
    "update_lead",
    "withdraw_marketing_consent",
]
