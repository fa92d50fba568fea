"""The claims of an OpenID Connect provider: about one person, and of the kinds that the standard names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.utils.crypto import constant_time_compare, salted_hmac

from licensehub.sign_in.sso.provider_session import is_storable

# https://openid.net/specs/openid-connect-core-1_0.html#StandardClaims
TEXTS: Final = ("sub", "email", "name", "given_name", "family_name", "preferred_username", "picture")
ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")
MAX_SUBJECT: Final = SocialAccount._meta.get_field("uid").max_length or 0


class Adapter(OpenIDConnectOAuth2Adapter):
    _nonce = ""

    def get_provider(self) -> OpenIDConnectProvider:
        return Claims(self.request, app=super().get_provider().app)

    @property
    def openid_config(self) -> dict[str, Any]:
        """The description that the provider gives of itself. Raises OAuth2Error, and requests' exceptions."""
        found: dict[str, Any] = super().openid_config
        if not all(isinstance(found.get(name), str) for name in ("issuer", "jwks_uri", *ENDPOINTS)):
            raise OAuth2Error("The provider does not name all of its addresses.")
        return found

    def parse_token(self, data: Mapping[str, Any]) -> Any:
        """The token is not stored, so the time for which it is valid does not matter."""
        if not isinstance(data["access_token"], str) or not isinstance(data.get("id_token", ""), str):
            raise OAuth2Error("The provider's token is no text.")
        return super().parse_token({"access_token": data["access_token"]})

    def get_access_token_data(self, *args: Any, pkce_code_verifier: str, **kwargs: Any) -> Any:
        self._nonce = nonce_for(pkce_code_verifier)
        return super().get_access_token_data(*args, pkce_code_verifier=pkce_code_verifier, **kwargs)

    def complete_login(self, request: Any, app: Any, token: Any, **kwargs: Any) -> Any:
        """Raises OAuth2Error without an id token: only its nonce says for which browser the provider made the code."""
        if not kwargs["response"].get("id_token"):
            raise OAuth2Error("The provider sent no id token.")
        return super().complete_login(request, app, token, **kwargs)

    def _decode_id_token(self, app: Any, id_token: str) -> dict[str, Any]:
        found: dict[str, Any] = super()._decode_id_token(app, id_token)
        if not constant_time_compare(str(found.get("nonce")), self._nonce):
            raise OAuth2Error("The provider's id token was made for another sign-on.")
        return found


class Claims(OpenIDConnectProvider):
    oauth2_adapter_class = Adapter

    def get_pkce_params(self) -> dict[str, str]:
        """Ask the provider for PKCE and for a nonce, beside the usual."""
        found: dict[str, str] = super().get_pkce_params()
        return {**found, "nonce": nonce_for(found["code_verifier"])}

    def extract_uid(self, data: Mapping[str, Any]) -> str:
        """The subject. Raises OAuth2Error.

        The id token and the answer about the person must name the same one: a token that was exchanged for that of
        somebody else would bring the data of that one (OpenID Connect Core, 5.3.2).
        """
        parts = [data[name] for name in ("userinfo", "id_token") if name in data]
        if not all(is_storable(part) and _has_texts(part) for part in parts):
            raise OAuth2Error("The provider's claims are not of their kinds.")
        subjects = {part.get("sub") or "" for part in parts}
        if len(subjects) != 1 or not 0 < len(subject := str(subjects.pop())) <= MAX_SUBJECT:
            raise OAuth2Error("The provider does not name one subject.")
        return subject


def nonce_for(code_verifier: str) -> str:
    """The nonce of one sign-on, from the secret of it that only the browser's session has.

    A provider that ignores PKCE still puts it into the id token, so a code that was stolen from somebody's browser
    opens nothing in another one. https://openid.net/specs/openid-connect-core-1_0.html#NonceNotes
    """
    return salted_hmac("licensehub.sign_in.sso.nonce", code_verifier).hexdigest()


def _has_texts(claims: Mapping[str, Any]) -> bool:
    return all(isinstance(claims[name], str) for name in TEXTS if claims.get(name) is not None)
