"""Attempts to sign in: each is counted before it is looked at, so that none of many at once comes for free."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from . import limits


def count(address: str, network: str, at: datetime) -> bool:
    """Count an attempt; False if somebody has tried too often: the address there, the network, the address anywhere.

    `network` is where it comes from (`limits.network_of`); of one that is unknown, only the address is counted.
    """
    # the address comes last: a network that has to wait takes nothing from it
    with transaction.atomic():
        return not any(limits.take(name, subject, at=at) for name, subject in _subjects(address, network).items())


def uncount(address: str, network: str, at: datetime) -> None:
    """The attempt succeeded: it was no guess."""
    for name, subject in _subjects(address, network).items():
        limits.give_back(name, subject, at=at)


def forget(address: str, network: str) -> None:
    """Who reads the account's mail has shown it: what others have guessed keeps them out no more."""
    for name, subject in _subjects(address, network).items():
        if name != "sign_in_network":
            limits.forget(name, subject)


def _subjects(address: str, network: str) -> dict[str, str]:
    """The limits of `settings.FORM_LIMITS`, each with what it is counted for."""
    address = address.strip().lower()
    there = {"sign_in": f"{network} {address}", "sign_in_network": network} if network else {}
    return {**there, "sign_in_address": address}
