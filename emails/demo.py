"""The campaigns of the demo: one that has been sent, and a draft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from accounts.models import Organization
from leads import consent
from leads.consent import Agreement
from leads.demo import register_demo
from leads.models import ConsentPurpose, ConsentSource, EffectState, Lead, LeadSource, LeadStatus
from leads.normalise import email_key

from . import intents
from .composing import compose
from .models import Campaign

PEOPLE = (
    ("Helena Prado", "Prado Arquitetura", LeadStatus.QUALIFIED, 81),
    ("Pedro Nunes", "Nunes Engenharia", LeadStatus.CONTACTED, 64),
    ("Lúcia Campos", "", LeadStatus.NEW, 38),
    ("Rafael Dias", "Dias & Filhos", LeadStatus.PROPOSAL, 77),
    ("Beatriz Rocha", "", LeadStatus.NEW, 45),
    ("Caio Teixeira", "Teixeira Obras", LeadStatus.LOST, 22),
)
TEXT = """Olá {first_name},

no sábado, dia 12, abrimos as portas do novo edifício da Rua das Flores. Teremos café, plantas na mesa e gente da obra \
para responder às suas perguntas, também para {company|você}.

Responda a este e-mail para reservar um horário."""


def make_campaigns(organizations: Mapping[str, Organization]) -> None:
    """For the first organization; nothing leaves: the mails of the one that was sent are recorded only."""
    aurora = organizations["aurora"]
    leads = [_lead(aurora, *person) for person in PEOPLE]
    began = timezone.now() - timedelta(days=6)
    sent = Campaign.objects.create(
        organization=aurora,
        name="Portas abertas",
        subject="{first_name}, venha conhecer o novo edifício",
        text=TEXT,
        language=aurora.language,
        state=Campaign.State.SENT,
        started_at=began,
        resumed_at=began,
        planned_at=began,
        ended_at=began + timedelta(seconds=4),
        recipients=len(leads),
        sent=len(leads) - 1,
    )
    _state_mails(sent, leads, began)
    Campaign.objects.create(
        organization=aurora,
        name="Últimas unidades",
        subject="{first_name}, restam três apartamentos",
        text="Olá {first_name},\n\nrestam três apartamentos na Rua das Flores.\n\nPosso lhe enviar as plantas?",
        language=aurora.language,
        audience={"statuses": [LeadStatus.CONTACTED, LeadStatus.PROPOSAL, LeadStatus.QUALIFIED]},
    )


def _lead(organization: Organization, name: str, company: str, status: LeadStatus, score: int) -> Lead:
    email = f"{'.'.join(name.lower().replace('ú', 'u').split())}@example.com"
    lead = Lead(
        organization=organization,
        name=name,
        email=email,
        email_key=email_key(email),
        company=company,
        status=status,
        source=LeadSource.EVENT,
        score=score,
    )
    agreed = consent.give(lead, Agreement(ConsentPurpose.MARKETING, ConsentSource.STAFF, "Feira de imóveis"))
    lead.save()
    agreed.save()
    return lead


def _state_mails(campaign: Campaign, leads: Sequence[Lead], began: datetime) -> None:
    """One of them was turned away."""
    for message in intents.state_campaign_mails(campaign, leads):
        composed = compose(message)
        refused = message.lead_id == leads[-1].pk
        message.state = EffectState.REFUSED if refused else EffectState.RECORDED
        message.error = "550 5.1.1 no such user" if refused else ""
        message.sent_at = None if refused else began
        message.subject, message.text, message.html = composed.subject, composed.text, composed.html
        message.tries = 1
        message.save()


def register() -> None:
    """Register the part; called once, when the app is ready."""
    register_demo(make_campaigns)
