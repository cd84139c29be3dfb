"""Signing in and out, a new password, and an invitation that is accepted."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.auth import login
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse, reverse_lazy
from django.utils import translation
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from . import guesses
from .forms import JoinForm, ResetForm, SignInForm, network_of_request
from .member_pages import person_of
from .models import Invitation, User
from .navigation import home_of
from .services import accept_invitation
from .tokens import invitation_of, open_invitation

#: Which invitation the visitor came with; the link's token is not kept.
_INVITATION = "invitation"


@require_GET
@never_cache
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """To the place where the person works."""
    return redirect(home_of(person_of(request)))


# no transaction is open while a password is looked at: on SQLite nobody else could write
@method_decorator(transaction.non_atomic_requests, name="dispatch")
class SignIn(auth_views.LoginView):
    """Sign in; somebody who is signed in goes on."""

    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True


class PasswordReset(auth_views.PasswordResetView):
    """Ask for a link by mail."""

    template_name = "accounts/password_reset.html"
    form_class = ResetForm
    success_url = reverse_lazy("accounts:password_reset_sent")

    def form_valid(self, form: Any) -> HttpResponse:
        """The same answer for every address."""
        form.save(request=self.request)
        return HttpResponseRedirect(str(self.success_url))


class PasswordResetSent(auth_views.PasswordResetDoneView):
    """Say what happens now."""

    template_name = "accounts/password_reset_sent.html"


class PasswordResetConfirm(auth_views.PasswordResetConfirmView):
    """Choose a new password."""

    template_name = "accounts/password_reset_confirm.html"
    success_url = reverse_lazy("accounts:password_reset_done")

    def get_user(self, uidb64: str) -> User | None:
        """Nobody who is locked."""
        user: User | None = super().get_user(uidb64)
        return user if user is not None and user.is_active else None

    def form_valid(self, form: Any) -> HttpResponse:
        """The password holds, and nobody is kept from signing in with it."""
        response = super().form_valid(form)
        guesses.forget(form.user.email, network_of_request(self.request))
        return response


class PasswordResetDone(auth_views.PasswordResetCompleteView):
    """The new password holds."""

    template_name = "accounts/password_reset_done.html"


@require_GET
@never_cache
def open_link(request: HttpRequest, token: str) -> HttpResponse:
    """Follow an invitation's link to a page whose address tells nothing to logs, and to other sites."""
    invitation = invitation_of(token)
    request.session[_INVITATION] = str(invitation.pk) if invitation else ""
    return redirect("accounts:join")


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def join(request: HttpRequest) -> HttpResponseBase:
    """Show the invitation, and accept it: as the person who is signed in, or as one who is new."""
    key = request.session.get(_INVITATION)
    if key is None and request.user.is_authenticated:
        return redirect("home")  # a second click
    invitation = open_invitation(UUID(key)) if key else None
    if invitation is None:
        return _over(request)
    with translation.override(invitation.language or invitation.organization.language):
        person = User.objects.filter(email=invitation.email).first()
        if person is None:
            return _join_as_new(request, invitation)
        return _join_as(request, invitation, person) if person.is_active else _over(request)


def _join_as_new(request: HttpRequest, invitation: Invitation) -> HttpResponse:
    form = JoinForm(request.POST if request.method == "POST" else None, instance=User(email=invitation.email))
    if form.is_valid():
        try:
            with transaction.atomic():
                person = form.save()
                accept_invitation(invitation.pk, person)
        except IntegrityError:
            return redirect("accounts:join")  # somebody with this address was faster
        except ValidationError as error:
            form.add_error(None, error)
        else:
            login(request, person, backend="django.contrib.auth.backends.ModelBackend")
            return _joined(request)
    return render(request, "accounts/join.html", {"invitation": invitation, "form": form, "is_new": True})


def _join_as(request: HttpRequest, invitation: Invitation, person: User) -> HttpResponse:
    if not request.user.is_authenticated:
        return redirect(f"{reverse('login')}?next={reverse('accounts:join')}")
    form, is_other = Form(request.POST), request.user.pk != person.pk
    if request.method == "POST" and not is_other:
        try:
            accept_invitation(invitation.pk, person)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return _joined(request)
    return render(request, "accounts/join.html", {"invitation": invitation, "form": form, "is_other": is_other})


def _over(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/invitation_over.html", status=410)


def _joined(request: HttpRequest) -> HttpResponse:
    request.session.pop(_INVITATION, None)
    return redirect("home")
