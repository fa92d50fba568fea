"""The values of protections, in the form that is compared: addresses, domains, license types and roles."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.connectors.contract import MAX_ADDRESS, normalized, normalized_domain
from integrations.models import IntegrationProfile
from subscriptions.models import ProtectionKind, Subscription
from subscriptions.rules.words import words_of

# Letters of all alphabets are allowed: people have such addresses, and the vendor shows them.
ADDRESS = re.compile(r"[^\s@,;<>]+@[^\s@,;<>]+")
DOMAIN = re.compile(r"(?!-)([^\s@,;<>/.]+\.)+[^\s@,;<>/.\d][^\s@,;<>/.]+")
# An id of the vendor, as it may be typed in the place of an address.
MEMBER_ID = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)
UNKNOWN_WORD = {
    ProtectionKind.LICENSE: gettext_lazy("“{given}” is no license type that {profile} knows. Known are: {known}."),
    ProtectionKind.ROLE: gettext_lazy("“{given}” is no role that {profile} knows. Known are: {known}."),
}


def clean_value(profile: IntegrationProfile, kind: str, value: str) -> str:
    """The value in the form that is compared, see `models.protection.keys`; for a person also an id that is known.

    Raises ValidationError for `value`.
    """
    given = value.strip()
    if kind in (ProtectionKind.LICENSE, ProtectionKind.ROLE):
        return _known_word(profile, ProtectionKind(kind), given)
    if kind == ProtectionKind.ADMIN_ROLE:
        return _seen_role(profile, given)
    if kind == ProtectionKind.DOMAIN:
        return _domain(given)
    if "@" not in given and Subscription.objects.filter(profile=profile, external_id=given).exists():
        return given
    return clean_address(given)


def clean_address(given: str) -> str:
    """The normalized address. Raises ValidationError for `value`."""
    address = normalized(given)
    if not address:
        raise ValidationError({"value": _("Enter an e-mail address as the vendor shows it.")})
    if len(given) > MAX_ADDRESS or not ADDRESS.fullmatch(address) or not address.isprintable():
        sentence = _(
            "“{given}” is no e-mail address. Write it as the vendor shows it, e.g. pat@northwind.example."
        ).format(given=given)
        raise ValidationError({"value": sentence})
    return address


def _domain(given: str) -> str:
    domain = normalized_domain(given.removeprefix("@"))
    if not DOMAIN.fullmatch(domain):
        sentence = _(
            "“{given}” is no domain. Write what follows the @ of the addresses, e.g. contractor.example."
        ).format(given=given)
        raise ValidationError({"value": sentence})
    return domain


def _known_word(profile: IntegrationProfile, kind: ProtectionKind, given: str) -> str:
    labels = words_of(profile, kind)
    for word, label in labels.items():
        if given.lower() in (word.lower(), label.lower()):
            return word
    known = ", ".join(labels.values())
    raise ValidationError({"value": str(UNKNOWN_WORD[kind]).format(given=given, profile=profile, known=known)})


def _seen_role(profile: IntegrationProfile, given: str) -> str:
    """The admin role. The vendor may invent new ones, so it must be a role that somebody has."""
    seen = Subscription.objects.filter(profile=profile).admin_roles_seen()
    for role in seen:
        if given.casefold() == role.casefold():
            return role
    said = _("“{given}” is no admin role of anybody in {profile}. Nobody has one as of the last download.")
    if seen:
        said = _("“{given}” is no admin role of anybody in {profile}. Seen are: {roles}.")
    raise ValidationError({"value": said.format(given=given, profile=profile, roles=", ".join(seen))})
