"""One spelling for what people spell in many ways: addresses, phone numbers, domains."""

from __future__ import annotations

from functools import cache

from email_validator import EmailNotValidError, validate_email
from publicsuffixlist import PublicSuffixList


def email_address(value: str) -> str:
    """The address in the spelling in which it is written to; raises `ValueError` that says what is wrong with it."""
    try:
        return validate_email(value.strip(), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None


def email_key(address: str) -> str | None:
    """What makes two addresses the same one: no mailbox provider tells capital letters apart. None for none.

    Small letters and no more: case folding would also write *ß* as *ss*, which is another mailbox.
    """
    return key_of(email_address(address)) if address.strip() else None


def key_of(address: str) -> str:
    """`email_key` of an address that `email_address` has answered."""
    # the one letter that gets longer: the key must fit where the address fits
    return "İ".join(part.lower() for part in address.split("İ"))


def mail_domain(address: str) -> str:
    """The part behind the @, in small letters; empty without one."""
    return address.rpartition("@")[2].lower() if "@" in address else ""


def registered_domain(domain: str) -> str:
    """`acme.co.uk` of `mail.acme.co.uk`: what a company owns. A registry's own domain is answered as it is."""
    return _public_suffixes().privatesuffix(domain) or domain


def phone_number(value: str, country: str = "") -> str:
    """The number as E.164 writes it; `country` (ISO 3166) is for numbers without one. Raises `ValueError`."""
    import phonenumbers  # large, and only leads with a number need it

    try:
        number = phonenumbers.parse(value, country or None)
    except phonenumbers.NumberParseException as error:
        raise ValueError(str(error)) from None
    if not phonenumbers.is_possible_number(number):
        raise ValueError("not a possible number")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def phone_country(number: str) -> str:
    """The ISO 3166 code of the country that an E.164 number belongs to; empty if that cannot be told."""
    import phonenumbers

    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number, None)) or ""
    except phonenumbers.NumberParseException:
        return ""


def phone_is_valid(number: str) -> bool:
    """Whether a number of this form is handed out in its country."""
    import phonenumbers

    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(number, None)))
    except phonenumbers.NumberParseException:
        return False


@cache
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList()  # 10,000 names: read when first asked
