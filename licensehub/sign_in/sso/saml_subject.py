"""The subject of a SAML answer: an id that stays the same, and is never given to somebody else."""

from __future__ import annotations

from typing import Any, Final

from allauth.socialaccount.providers.saml import views as saml
from allauth.socialaccount.providers.saml.provider import SAMLProvider
from django.http import HttpRequest
from django.utils.translation import gettext as _

from licensehub.audit.actions import Action
from licensehub.sign_in.events import record_often
from licensehub.sign_in.sso.sso import Refusal

# A new one in each session: each sign-in would make another account.
TRANSIENT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
# It may be given to somebody else, who would then have the account of the person before.
ADDRESS: Final = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"


class StableSubjects(SAMLProvider):
    def extract_uid(self, data: Any) -> str:
        """The attribute subject-id, else the NameID if its format says that it stays. Raises Refusal."""
        if uid := self._extract(data).get("uid"):
            return str(uid)
        name_id = data.get_nameid()
        if not name_id or data.get_nameid_format() in (TRANSIENT, ADDRESS):
            record_often(Action.SIGN_IN_FAILED, None, self.request, method="sso")
            raise Refusal(
                self.request,
                _(
                    "Your company's sign-on sends no id for you that stays the same. Ask the people who run it to send "
                    "the attribute subject-id, or a NameID with the format “persistent”, to LicenseHub."
                ),
            )
        return str(name_id)


class FinishView(saml.FinishACSView):
    def get_provider(self, organization_slug: str) -> SAMLProvider:
        request: HttpRequest = self.request
        return StableSubjects(request, app=self.get_app(organization_slug))
