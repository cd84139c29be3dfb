"""Normalising, enrichment and score: pure rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leads import normalise
from leads.enrichment import Question
from leads.enrichment.local import LocalEnrichment
from leads.labels import SCORE_RULES
from leads.scoring import Facts, Score, score

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "key"),
    [
        (" Ada@Analytical.EXAMPLE ", "ada@analytical.example"),
        ("ada+news@analytical.example", "ada+news@analytical.example"),
        ("jörg@münchen.example", "jörg@münchen.example"),
        ("", None),
    ],
)
def test_email_key_is_one_for_all_spellings_of_an_address(given: str, key: str | None) -> None:
    assert normalise.email_key(given) == key


@pytest.mark.parametrize("given", ["ada", "ada@", "@example.org", "ada@exa mple.org", "a@b@c.org", "ada@localhost"])
def test_address_that_cannot_be_written_to_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        normalise.email_address(given)


def test_phone_numbers_are_written_one_way() -> None:
    assert normalise.phone_number("(11) 91234-5678", "BR") == "+5511912345678"
    assert normalise.phone_number("+55 11 91234 5678") == "+5511912345678"
    with pytest.raises(ValueError, match=r"."):
        normalise.phone_number("(11) 91234-5678")


@pytest.mark.parametrize(
    ("domain", "owned"),
    [
        ("mail.acme.co.uk", "acme.co.uk"),
        ("acme.com.br", "acme.com.br"),
        ("a.b.acme.io", "acme.io"),
        ("acme.de", "acme.de"),
        ("silva.adv.br", "silva.adv.br"),
        ("mail.silva.adv.br", "silva.adv.br"),
        ("compras.acme.ind.br", "acme.ind.br"),
        ("saude.acme.sp.gov.br", "acme.sp.gov.br"),
        ("mail.acme.plc.uk", "acme.plc.uk"),
        ("mail.acme.uk.com", "acme.uk.com"),
        ("mail.net.de", "net.de"),
        ("mail.acme.公司.cn", "acme.公司.cn"),
        ("Mail.Acme.CO.UK", "acme.co.uk"),
        ("sp.gov.br", "sp.gov.br"),
    ],
)
def test_company_owns_the_registered_part_of_a_domain(domain: str, owned: str) -> None:
    assert normalise.registered_domain(domain) == owned


def found(email: str = "", phone: str = "") -> dict[str, Any]:
    return {finding.field: finding.value for finding in LocalEnrichment().look_up(Question(email, phone))}


def test_company_address_tells_company_site_and_country() -> None:
    assert found("ada@sales.acme-tools.co.uk") == {
        "disposable_mail": False,
        "free_mail": False,
        "company": "Acme Tools",
        "website": "https://acme-tools.co.uk/",
        "country": "GB",
    }


def test_lawyer_writes_from_an_office_and_not_from_the_registry_of_lawyers() -> None:
    assert found("ana@silva.adv.br")["company"] == "Silva"
    assert found("ana@silva.adv.br")["website"] == "https://silva.adv.br/"


def test_free_and_throw_away_addresses_tell_no_company() -> None:
    assert found("ada@gmail.com") == {"disposable_mail": False, "free_mail": True}
    assert found("ada@x.yopmail.com") == {"disposable_mail": True, "free_mail": False}


def test_country_of_the_phone_goes_before_that_of_the_domain() -> None:
    assert found("ada@acme.de", "+5511912345678")["country"] == "BR"


def test_nothing_given_tells_nothing() -> None:
    assert found() == {}


def test_score_is_the_sum_of_its_reasons() -> None:
    result = score(
        Facts(
            phone="+5511912345678",
            job_title="Diretora de Compras",
            source="referral",
            enrichment={"free_mail": False, "disposable_mail": False, "company": "Acme", "country": "BR"},
            contacts=(NOW,),
        ),
        NOW,
    )
    assert {reason.rule: reason.points for reason in result.reasons} == {
        "company_mail": 20,
        "company_known": 5,
        "decides": 15,
        "phone_given": 10,
        "country_known": 3,
        "source": 10,
        "contacts": 10,
    }
    assert result.points == 73


def points(**facts: Any) -> Score:
    return score(Facts(**facts), NOW)


def test_score_stays_between_0_and_100() -> None:
    assert points(status="lost", unsubscribed=True, enrichment={"disposable_mail": True}).points == 0
    best = points(
        phone="1",
        job_title="CEO",
        message="x" * 50,
        status="won",
        source="referral",
        value=1e6,
        enrichment={"free_mail": False, "disposable_mail": False, "company": "Acme", "country": "BR"},
        contacts=(NOW,) * 9,
    )
    assert best.points == 100


def test_contact_counts_half_after_a_month_and_all_together_at_most_25() -> None:
    assert points(contacts=(NOW - timedelta(days=30),)).points == 5
    assert points(contacts=(NOW,) * 10).points == 25


def test_every_rule_has_words() -> None:
    everything = [
        points(phone="1", job_title="CEO", message="x" * 50, status="won", source="referral", value=1e6),
        points(job_title="manager", enrichment={"free_mail": False, "disposable_mail": False, "country": "BR"}),
        points(company="x", unsubscribed=True, enrichment={"disposable_mail": True, "phone_valid": False}),
        points(contacts=(NOW,)),
    ]
    assert {reason.rule for result in everything for reason in result.reasons} == set(SCORE_RULES)
