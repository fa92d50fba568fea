"""The subject of a SAML answer: an id that stays the same, and is never given to somebody else."""

from __future__ import annotations

from typing import Any, Final

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.saml import views as saml
from allauth.socialaccount.providers.saml.provider import SAMLProvider
from django.http import HttpRequest
from django.utils.translation import gettext as _
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.xml_utils import OneLogin_Saml2_XML

from licensehub.audit.actions import Action
from licensehub.sign_in.events import record_often
from licensehub.sign_in.sso.sso import Refusal

# A new one in each session: each sign-in would make another account.
TRANSIENT: Final = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
# It may be given to somebody else, who would then have the account of the person before.
ADDRESS: Final = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
MAX_SUBJECT: Final = SocialAccount._meta.get_field("uid").max_length or 0
BEARERS: Final = (
    '//saml:Assertion/saml:Subject/saml:SubjectConfirmation[@Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"]'
    "/saml:SubjectConfirmationData"
)
AUDIENCES: Final = "//saml:Assertion/saml:Conditions/saml:AudienceRestriction/saml:Audience"


def is_for_this_request(auth: OneLogin_Saml2_Auth) -> bool:
    """Whether the assertion itself is for us, and for the request that its envelope names.

    Only the assertion is signed. The library also accepts one that says nothing about request, recipient or audience,
    e.g. one that was made for another service: anybody who has it could put it into an envelope for an own request.
    """
    root, sp = OneLogin_Saml2_XML.to_etree(auth.get_last_response_xml()), auth.get_settings().get_sp_data()
    wanted = (auth.get_last_response_in_response_to(), sp["assertionConsumerService"]["url"])
    bearers = OneLogin_Saml2_XML.query(root, BEARERS)
    said = {(one.get("InResponseTo"), one.get("Recipient")) for one in bearers}
    audiences = {one.text.strip() for one in OneLogin_Saml2_XML.query(root, AUDIENCES) if one.text}
    ends = all(one.get("NotOnOrAfter") for one in bearers)
    return None not in wanted and said == {wanted} and ends and sp["entityId"] in audiences


class StableSubjects(SAMLProvider):
    def sociallogin_from_response(self, request: HttpRequest, response: OneLogin_Saml2_Auth) -> Any:
        """Raises Refusal."""
        if not is_for_this_request(response):
            get_adapter().on_authentication_error(request, self)
        return super().sociallogin_from_response(request, response)

    def extract_uid(self, data: Any) -> str:
        """The attribute subject-id, else the NameID if its format says that it stays. Raises Refusal."""
        if (uid := self._extract(data).get("uid")) and len(uid) <= MAX_SUBJECT:
            return str(uid)
        name_id = data.get_nameid()
        too_long = len(uid or name_id or "") > MAX_SUBJECT
        if not name_id or too_long or data.get_nameid_format() in (TRANSIENT, ADDRESS):
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
