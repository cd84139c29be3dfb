"""What a column can be, and which one it probably is by its name, in English and Portuguese."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from django.utils.translation import gettext_lazy as _

#: field -> its label; the order in which they are offered.
FIELDS = {
    "name": _("Name"),
    "first_name": _("First name"),
    "last_name": _("Last name"),
    "email": _("Email"),
    "phone": _("Phone"),
    "company": _("Company"),
    "job_title": _("Job title"),
    "message": _("Message"),
    "status": _("Status"),
    "source": _("Source"),
    "value": _("Value"),
    "currency": _("Currency"),
    "assignee": _("Assignee (email address)"),
    "locale": _("Language"),
    "time_zone": _("Time zone"),
    "utm_source": "utm_source",
    "utm_medium": "utm_medium",
    "utm_campaign": "utm_campaign",
    "utm_term": "utm_term",
    "utm_content": "utm_content",
    "consent": _("Agreed to replies: yes or no"),
    "marketing_consent": _("Agreed to news and offers: yes or no"),
    "consent_at": _("When they agreed"),
    "consent_wording": _("How they agreed"),
}
#: Never guessed: whoever imports them says so.
CONSENTS = ("consent", "marketing_consent")
NAMES = ("name", "first_name", "last_name")

_KNOWN_NAMES = {
    "name": "name fullname contactname contact lead nome nomecompleto contato cliente",
    "first_name": "firstname givenname forename primeironome prenome",
    "last_name": "lastname surname familyname sobrenome ultimonome",
    "email": "email mail emailaddress e-mail1value email1 primaryemail workemail enderecodeemail correioeletronico",
    "phone": "phone phonenumber telephone tel mobile mobilephone cell cellphone whatsapp telefone celular fone "
    "numerodetelefone telefonecelular phone1value",
    "company": "company companyname organization organisation account accountname business empresa nomedaempresa "
    "organizacao companhia razaosocial",
    "job_title": "jobtitle title position role cargo funcao profissao",
    "message": "message note notes comment comments description mensagem observacao observacoes obs comentario "
    "comentarios anotacoes descricao",
    "status": "status stage leadstatus lifecyclestage situacao etapa fase estagio",
    "source": "source leadsource origin channel origem fonte canal",
    "value": "value amount dealvalue dealamount revenue valor valordonegocio receita",
    "currency": "currency currencycode moeda",
    "assignee": "assignee owner leadowner assignedto responsavel proprietario vendedor",
    "locale": "language locale idioma lingua",
    "time_zone": "timezone tz fusohorario fuso",
    "utm_source": "utmsource",
    "utm_medium": "utmmedium",
    "utm_campaign": "utmcampaign",
    "utm_term": "utmterm",
    "utm_content": "utmcontent",
}
_BY_NAME = {re.sub(r"\W", "", name): field for field, names in _KNOWN_NAMES.items() for name in names.split()}


def guessed(header: Sequence[str]) -> list[str]:
    """For each column the field that it probably is, empty where its name says nothing; no field twice."""
    found: list[str] = []
    for name in header:
        field = _BY_NAME.get(plain(name), "")
        found.append("" if field in found else field)
    if "name" not in found and "last_name" in found and "first_name" not in found:
        # "nome" and "sobrenome" are told apart by their pair
        found[found.index("last_name")] = ""
    elif "name" in found and "last_name" in found and "first_name" not in found:
        found[found.index("name")] = "first_name"
    return found


def plain(name: str) -> str:
    """The name without spaces, signs, accents and capital letters."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return re.sub(r"[\W_]", "", "".join(letter for letter in letters if not unicodedata.combining(letter)))
