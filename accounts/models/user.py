"""Who signs in: a person, by e-mail address and password."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.utils.translation import gettext_lazy as _


class AddressField(models.EmailField):  # type: ignore[type-arg]
    """An e-mail address in one spelling: no two differ in letter case alone, and a look-up finds either."""

    def to_python(self, value: Any) -> Any:
        """The address as it is kept."""
        return _spelled(super().to_python(value))

    def get_prep_value(self, value: Any) -> Any:
        """The address as it is kept, for a row and for a look-up."""
        return _spelled(super().get_prep_value(value))

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """The object shows what its row holds."""
        value = _spelled(getattr(model_instance, self.attname))
        setattr(model_instance, self.attname, value)
        return value


class People(UserManager):  # type: ignore[type-arg]
    """Makes users; there is no user name."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:  # type: ignore[override]
        """A user; without a password nobody can sign in until one is set by mail.

        Raises `ValueError` without an address.
        """
        if not email:
            raise ValueError("a user needs an e-mail address")
        user: User = self.model(email=email, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:  # type: ignore[override]
        """A user who may do everything."""
        return self.create_user(email, password, **{**fields, "is_staff": True, "is_superuser": True})


class User(AbstractUser):
    """A person. What they may do in an organization is said by their membership; `is_staff` is who runs the site."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid.uuid4, editable=False)
    username = None  # type: ignore[assignment]
    email = AddressField(
        _("email address"),
        unique=True,
        error_messages={"unique": _("There is already a user with this email address.")},
    )

    wants_digest = models.BooleanField(
        _("daily email"), default=True, help_text=_("Once a day, what is new in the inbox and was not read.")
    )
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text=_("As America/Sao_Paulo. Empty: the site’s."),
    )

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects: ClassVar[People] = People()

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        indexes = [models.Index(fields=["last_name", "first_name"], name="accounts_people_by_name")]

    def __str__(self) -> str:
        return str(self.email)

    @property
    def shown_name(self) -> str:
        """The person's name, else the address."""
        name: str = self.get_full_name() or self.email
        return name


def _spelled(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value
