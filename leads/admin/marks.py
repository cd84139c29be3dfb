"""How the product's states look; each state has a shape of its own among its kind."""

from __future__ import annotations

from collections.abc import Mapping

from admin_lists.marks import Mark

from ..models import EffectState, LeadStatus, SubmissionState
from ..models.consent import ConsentAct

STATUS: Mapping[str, Mark] = {
    LeadStatus.NEW: Mark("wait", "dot"),
    LeadStatus.CONTACTED: Mark("run", "half"),
    LeadStatus.QUALIFIED: Mark("again", "diamond"),
    LeadStatus.PROPOSAL: Mark("later", "triangle"),
    LeadStatus.WON: Mark("good", "check"),
    LeadStatus.LOST: Mark("quiet", "cross"),
}

SUBMISSION: Mapping[str, Mark] = {
    SubmissionState.RECEIVED: Mark("wait", "ring"),
    SubmissionState.PROCESSED: Mark("good", "check"),
    SubmissionState.INVALID: Mark("again", "triangle"),
    SubmissionState.FAILED: Mark("bad", "cross"),
    SubmissionState.TRAPPED: Mark("again", "shield"),
}

EFFECT: Mapping[str, Mark] = {
    EffectState.PENDING: Mark("wait", "ring"),
    EffectState.DEFERRED: Mark("later", "clock"),
    EffectState.SENDING: Mark("run", "play"),
    EffectState.SENT: Mark("good", "check"),
    EffectState.RECORDED: Mark("quiet", "square"),
    EffectState.REFUSED: Mark("bad", "slash"),
    EffectState.FAILED: Mark("bad", "cross"),
    EffectState.UNCLEAR: Mark("again", "question"),
    EffectState.SKIPPED: Mark("quiet", "arrow"),
}

CONSENT: Mapping[str, Mark] = {
    ConsentAct.ASKED: Mark("wait", "ring"),
    ConsentAct.GIVEN: Mark("good", "check"),
    ConsentAct.WITHDRAWN: Mark("quiet", "undo"),
}
