"""A SAML identity provider: it signs responses with xmlsec, as real ones do, and can be told to do it wrongly."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from lxml import etree
from onelogin.saml2.utils import OneLogin_Saml2_Utils

NS = 'xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"'
ENTITY = "https://idp.northwind.example/saml"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
SSO_URL = "https://idp.northwind.example/sso"


def _pair() -> tuple[str, str]:
    """A private key and its certificate."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(days=1))
    builder = builder.not_valid_after(now + timedelta(days=9))
    certificate = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode()


@dataclass
class SamlProvider:
    key: str = field(default="", repr=False)
    certificate: str = ""

    def __post_init__(self) -> None:
        self.key, self.certificate = _pair()

    def request_id(self, location: str) -> str:
        """The id of the request that the browser brings."""
        [packed] = parse_qs(urlsplit(location).query)["SAMLRequest"]
        return str(etree.fromstring(zlib.decompress(base64.b64decode(packed), -15)).get("ID"))

    def response(
        self,
        in_response_to: str,
        acs: str,
        audience: str,
        *,
        subject: str = "subject-1",
        name_id: str = PERSISTENT,
        attributes: dict[str, list[str]] | None = None,
        valid_minutes: int = 5,
        sign: bool = True,
        change: Callable[[str], str] = str,
    ) -> bytes:
        """The XML of a response with one assertion, which is changed and then signed."""
        now = datetime.now(UTC)
        moments = (now, now + timedelta(minutes=valid_minutes), now - timedelta(hours=1))
        issued, end, start = (moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in moments)
        lines = "".join(
            f'<saml:Attribute Name="{name}">'
            + "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
            + "</saml:Attribute>"
            for name, values in (attributes or {}).items()
        )
        assertion = f"""<saml:Assertion {NS} ID="_assertion{in_response_to}" Version="2.0" IssueInstant="{issued}">
<saml:Issuer>{ENTITY}</saml:Issuer><saml:Subject>
<saml:NameID Format="{name_id}">{subject}</saml:NameID>
<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">
<saml:SubjectConfirmationData NotOnOrAfter="{end}" Recipient="{acs}" InResponseTo="{in_response_to}"/>
</saml:SubjectConfirmation></saml:Subject>
<saml:Conditions NotBefore="{start}" NotOnOrAfter="{end}">
<saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions>
<saml:AuthnStatement AuthnInstant="{issued}" SessionNotOnOrAfter="{end}" SessionIndex="1">
<saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef>
</saml:AuthnContext></saml:AuthnStatement>
<saml:AttributeStatement>{lines}</saml:AttributeStatement></saml:Assertion>"""
        assertion = change(assertion)
        if sign:
            assertion = OneLogin_Saml2_Utils.add_sign(assertion, self.key, self.certificate)
            assertion = assertion.decode() if isinstance(assertion, bytes) else assertion
        return self.around(in_response_to, acs, assertion)

    def around(self, in_response_to: str, acs: str, assertions: str) -> bytes:
        """The envelope, which is not signed."""
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f"""<samlp:Response {NS} ID="_r{in_response_to}" Version="2.0" IssueInstant="{stamp}" Destination="{acs}"
InResponseTo="{in_response_to}"><saml:Issuer>{ENTITY}</saml:Issuer>
<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>
{assertions}</samlp:Response>""".encode()
