"""Read and change the facts and texts of the company. Each change is one audit event with before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.urls import reverse

from integrations.connectors.contract import english
from integrations.scopes.account_scopes import deny_outside
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.translations.stored import translated
from subscriptions.company.logo import Logo
from subscriptions.company.texts import check_text, default_of, keys, one_line
from subscriptions.models import Company
from subscriptions.only_row import check_version, save_only_row

# The default of CONTACT_NAME in the settings.
CONTACT = english("your IT department")
WORDS = ("name", "contact_name", "contact_email", "reply_to")


@dataclass(frozen=True, slots=True)
class CompanyInput:
    """`logo`: None keeps the present one, an empty text removes it. `texts` has every key of `texts.keys()`."""

    name: str
    contact_name: str
    contact_email: str
    reply_to: str
    texts: Mapping[str, str]
    logo: Logo | str | None = None


def company() -> Company:
    """The company, without the bytes of its logo. The fields are empty until somebody saves them."""
    return Company.objects.defer("logo").filter(pk=Company.ONLY).first() or Company(pk=Company.ONLY)


def contact(row: Company) -> dict[str, str]:
    """Name and address for questions, and the address for replies. For an empty field, the value of the environment."""
    email = row.contact_email or settings.CONTACT_EMAIL
    return {
        "contact_name": row.contact_name or translated(settings.CONTACT_NAME),
        "contact_email": email,
        "reply_to": row.reply_to or email,
    }


def logo_address(row: Company) -> str:
    """The path of the logo; empty if there is no logo."""
    return reverse("company_logo", args=[row.logo_digest]) if row.logo_digest else ""


def save_company(wanted: CompanyInput, *, seen: int, actor: User) -> bool:
    """Save the fields that differ, and return whether any did. `seen` is the version that the person saw.

    Raises Refused for a text with a wrong placeholder, NotActionable when somebody else changed the company meanwhile.
    """
    deny_outside(actor, None)
    values: dict[str, Any] = {word: one_line(getattr(wanted, word)) for word in WORDS}
    values["texts"] = _own_texts(wanted.texts)
    if isinstance(wanted.logo, Logo):
        values |= {"logo": wanted.logo.content, "logo_digest": wanted.logo.digest}
    elif wanted.logo is not None:
        values |= {"logo": None, "logo_digest": ""}
    with transaction.atomic():
        row = company()
        check_version(row, seen)
        before, after = _audited(row), _audited(Company(**{"logo_digest": row.logo_digest, **values}))
        changed = [word for word in {**before, **after} if before.get(word) != after.get(word)]
        if not changed:
            return False
        save_only_row(Company, values, seen=seen, actor=actor)
        data = {
            "before": {word: before.get(word, "") for word in changed},
            "after": {word: after.get(word, "") for word in changed},
        }
        record(Action.COMPANY_CHANGED, actor=actor, target=company(), data=data)
    return True


def _own_texts(given: Mapping[str, str]) -> dict[str, str]:
    """The texts that differ from the default. An empty text means the default."""
    found = {}
    for key in keys():
        text = given.get(key, "").replace("\r\n", "\n").strip()
        check_text(text)
        if text and text != default_of(key):
            found[key] = one_line(text) if key.endswith("_subject") else text
    return found


def _audited(row: Company) -> dict[str, str]:
    """The values for the audit log. A logo is named by its digest."""
    return {**{word: getattr(row, word) for word in WORDS}, **row.texts, "logo": row.logo_digest}
