"""One intended effect outside the database (a mail, a delivery, a text message): one row, claimed by one job."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.admin import display
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop, pgettext_lazy
from django.utils.translation import gettext_lazy as _

#: After this time the claim of a job that never came back is void.
CLAIM_LASTS = timedelta(minutes=15)


class EffectState(models.TextChoices):
    """What has become of the effect."""

    PENDING = "pending", pgettext_lazy("effect", "pending")
    DEFERRED = "deferred", pgettext_lazy("effect", "deferred")
    SENDING = "sending", pgettext_lazy("effect", "being sent")
    SENT = "sent", pgettext_lazy("effect", "sent")
    RECORDED = "recorded", pgettext_lazy("effect", "recorded only")
    REFUSED = "refused", pgettext_lazy("effect", "refused")
    FAILED = "failed", pgettext_lazy("effect", "failed")
    UNCLEAR = "unclear", pgettext_lazy("effect", "unclear: perhaps sent")
    SKIPPED = "skipped", pgettext_lazy("effect", "not sent on purpose")


#: States that no job moves on by itself, and in which a try has been made.
TRIED_AND_ENDED = (EffectState.SENT, EffectState.RECORDED, EffectState.REFUSED)
#: Ended without being sent, and without doubt.
_REPEATABLE = (EffectState.FAILED, EffectState.REFUSED)

#: What the product itself notes on an effect: stored in English, shown in the reader's language.
BROKEN_OFF = gettext_noop("the worker stopped while it was being sent")
JOB_CANCELLED = gettext_noop("its job was cancelled")
JOB_ENDED = gettext_noop("its job ended without sending it")
NO_MAIL = gettext_noop("the lead gets no mail")
LEAD_ERASED = gettext_noop("the lead was erased")
UNSUBSCRIBED = gettext_noop("the lead has unsubscribed")
ERASED_PERHAPS_SENT = gettext_noop("erased; perhaps sent")
ERASED_NOT_SENT = gettext_noop("erased; not sent")
NO_MEMBER = gettext_noop("the person is no longer a member of the organization")
NOT_WANTED = gettext_noop("the person wants no such messages any more")
NO_DIGEST = gettext_noop("the person gets no daily email at this address")
SUPPRESSED = gettext_noop("an earlier mail to this address bounced or was reported as spam")
LINK_OVER = gettext_noop("the link in it has expired, or was replaced")
CAMPAIGN_CANCELLED = gettext_noop("the campaign was cancelled")
LATER_VERSION = gettext_noop("version %(version)s stands for it")
_NOTES = frozenset(
    {
        BROKEN_OFF,
        JOB_CANCELLED,
        JOB_ENDED,
        NO_MAIL,
        NO_MEMBER,
        NOT_WANTED,
        NO_DIGEST,
        SUPPRESSED,
        LINK_OVER,
        CAMPAIGN_CANCELLED,
        LEAD_ERASED,
        UNSUBSCRIBED,
        ERASED_PERHAPS_SENT,
        ERASED_NOT_SENT,
    }
)
#: What its job says, whoever starts it again.
UNCLEAR = "perhaps sent: it is not sent again by itself; a person decides"
#: What stands on an effect that was erased, by the state that it had.
_WITHDRAWN = (
    ((EffectState.SENDING, EffectState.UNCLEAR), ERASED_PERHAPS_SENT),
    ((EffectState.PENDING, EffectState.DEFERRED, EffectState.FAILED), ERASED_NOT_SENT),
)


class Effect(models.Model):
    """The row that states an effect. A second job for it, or the same job a second time, finds it claimed or sent."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid.uuid4, editable=False)
    state = models.CharField(_("state"), max_length=10, choices=EffectState, default=EffectState.PENDING)
    tries = models.PositiveIntegerField(_("tries"), default=0)
    claimed_by = models.UUIDField(_("claimed by job"), null=True, blank=True)
    claimed_at = models.DateTimeField(_("claimed"), null=True, blank=True)
    error = models.TextField(_("error"), blank=True, default="")
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)

    class Meta:
        abstract = True

    def claim(self, job_id: UUID, *, repeatable: bool, **noted: Any) -> bool:
        """Take the effect for a job; False when it is done, or another job has it. `noted` are fields written with it.

        `repeatable` says that the receiver recognises a repetition. Without it, an effect that this job had claimed
        in an earlier start and never settled becomes UNCLEAR: it may have happened, so a person decides.
        """
        now = timezone.now()
        rows = type(self)._default_manager.filter(pk=self.pk)
        free = Q(state__in=[EffectState.PENDING, EffectState.DEFERRED, EffectState.FAILED])
        broken_off = Q(state=EffectState.SENDING) & (Q(claimed_by=job_id) | Q(claimed_at__lt=now - CLAIM_LASTS))
        if not repeatable and rows.filter(broken_off).update(state=EffectState.UNCLEAR, error=BROKEN_OFF):
            self.refresh_from_db()
            return False
        again = free | broken_off | Q(state=EffectState.UNCLEAR)
        taken = rows.filter(again if repeatable else free).update(
            state=EffectState.SENDING, claimed_by=job_id, claimed_at=now, tries=F("tries") + 1, **noted
        )
        self.refresh_from_db()
        if taken:
            # whatever has become of the row since: `settle` counts only for this claim
            self.claimed_by = job_id
        return bool(taken)

    @display(description=_("error"))
    def shown_error(self) -> str:
        """The error in the reader's language, where the product itself wrote it."""
        if self.error in _NOTES:
            return gettext(self.error)
        if found := re.fullmatch(r"version (\d+) stands for it", self.error):
            return gettext(LATER_VERSION) % {"version": found[1]}
        return self.error

    def settle(self, state: EffectState, *, error: str = "", **fields: Any) -> None:
        """Write down how the try ended, with what else is known of it; nothing if the claim was taken away since."""
        if state in {EffectState.SENT, EffectState.RECORDED}:
            fields["sent_at"] = timezone.now()
        own = type(self)._default_manager.filter(pk=self.pk, claimed_by=self.claimed_by)
        if state != EffectState.SENT:
            # what the receiver has reported meanwhile it knows better than whoever waited for its answer
            own = own.exclude(state=EffectState.SENT)
        own.update(state=state, error=error[:2_000], **fields)
        self.refresh_from_db()

    @classmethod
    def withdraw(cls, rows: models.QuerySet[Any], **emptied: Any) -> int:
        """Erase effects: empty these fields, and take the claim away, so that no job that runs fills them again.

        What has ended stays as it ended; anything else is never sent. Returns how many rows there are.
        """
        rows.filter(state__in=TRIED_AND_ENDED).update(error="")
        for states, error in _WITHDRAWN:
            rows.filter(state__in=states).update(state=EffectState.SKIPPED, error=error)
        return rows.update(claimed_by=None, claimed_at=None, **emptied)

    @property
    def perhaps_sent(self) -> bool:
        """Whether nobody knows what became of the newest try; so it is too where its job never came back."""
        void = self.claimed_at is not None and self.claimed_at < timezone.now() - CLAIM_LASTS
        return self.state == EffectState.UNCLEAR or (self.state == EffectState.SENDING and void)

    @property
    def can_be_repeated(self) -> bool:
        """Whether `reopen(recorded=True)` would make it pending again."""
        return self.perhaps_sent or self.state in {*_REPEATABLE, EffectState.RECORDED}

    def reopen(self, *, recorded: bool = False) -> bool:
        """Make an effect that ended without being sent pending again; False when there is nothing to repeat.

        Also one that was perhaps sent: a person decides that. With `recorded`, one that was only written down.
        """
        states = [*_REPEATABLE, EffectState.UNCLEAR, *([EffectState.RECORDED] if recorded else [])]
        void = Q(state=EffectState.SENDING, claimed_at__lt=timezone.now() - CLAIM_LASTS)
        rows = type(self)._default_manager.filter(Q(state__in=states) | void, pk=self.pk)
        return bool(rows.update(state=EffectState.PENDING, claimed_by=None, claimed_at=None, error=""))
