"""What stands in the head of the members' pages. Each app registers its own place; `accounts` knows none of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.urls import reverse
from django.utils.functional import Promise

from .models import User


@dataclass(frozen=True)
class Place:
    """One entry: `order` says where it stands, `shown_to` who finds it.

    `news` answers what stands beside the label, a short text or none; `news_view` names the view that answers the same
    to a page that stays open, and `news_label` says what it is to who does not see it.
    """

    name: str
    label: str | Promise
    view: str
    order: int
    shown_to: Callable[[User], bool] = lambda user: True
    news: Callable[[User], str] | None = None
    news_view: str = ""
    news_label: str | Promise = ""


_places: dict[str, Place] = {}


def register_place(place: Place) -> None:
    """Add an entry; its name must be free."""
    if _places.setdefault(place.name, place) != place:
        raise ValueError(f"the place {place.name!r} is registered already; give it another name")


def places_of(user: User) -> list[Place]:
    """The entries that this person finds, in their order."""
    return [place for place in sorted(_places.values(), key=lambda place: place.order) if place.shown_to(user)]


def home_of(user: User) -> str:
    """The address where the person begins: the first of their places."""
    return reverse(places_of(user)[0].view)
