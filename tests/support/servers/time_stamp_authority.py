"""A time stamp authority (RFC 3161) with a root and a certificate of its own. Its answers are written byte by byte."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from rfc3161_client._rust import parse_timestamp_request

SEQUENCE, SET, INTEGER, OCTETS, OID, NULL, TIME = 0x30, 0x31, 0x02, 0x04, 0x06, b"\x05\x00", 0x18
SHA256 = "2.16.840.1.101.3.4.2.1"
RSA_SHA256 = "1.2.840.113549.1.1.11"
SIGNED_DATA, TST_INFO = "1.2.840.113549.1.7.2", "1.2.840.113549.1.9.16.1.4"
CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def integer(value: int) -> bytes:
    return der(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    content = bytes([first * 40 + second])
    for number in rest:
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(0x80 | number & 0x7F)
        content += bytes(reversed(groups))
    return der(OID, content)


def algorithm(dotted: str) -> bytes:
    return der(SEQUENCE, oid(dotted), NULL)


def _certificate(name, key, *, issuer=None, issuer_key=None, authority: bool) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        usage = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.TIME_STAMPING])
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(issuer_key or key, hashes.SHA256())


@dataclass
class Authority:
    """`root_pem` is for those who check its answers."""

    root_pem: bytes = b""
    number: int = 0
    _key: rsa.RSAPrivateKey = field(init=False)
    _certificate: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        root_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        root = _certificate("Root of the tests", root_key, authority=True)
        self.root_pem = root.public_bytes(Encoding.PEM)
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._certificate = _certificate(
            "Authority of the tests", self._key, issuer=root.subject, issuer_key=root_key, authority=False
        )

    def answer(self, request: bytes) -> bytes:
        """The answer to a request, which must be one of SHA-256."""
        asked = parse_timestamp_request(request)
        self.number += 1
        imprint = der(SEQUENCE, algorithm(SHA256), der(OCTETS, asked.message_imprint.message))
        now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d%H%M%SZ").encode()
        info = der(
            SEQUENCE,
            integer(1),
            oid("1.3.6.1.4.1.99999.1"),
            imprint,
            integer(self.number),
            der(TIME, now),
            integer(asked.nonce or 0),
        )
        content = der(SEQUENCE, oid(TST_INFO), der(0xA0, der(OCTETS, info)))
        certificates = der(0xA0, self._certificate.public_bytes(Encoding.DER))
        signed = der(
            SEQUENCE, integer(3), der(SET, algorithm(SHA256)), content, certificates, der(SET, self._signer(info))
        )
        token = der(SEQUENCE, oid(SIGNED_DATA), der(0xA0, signed))
        return der(SEQUENCE, der(SEQUENCE, integer(0)), token)

    def _signer(self, info: bytes) -> bytes:
        attributes = sorted(
            [
                der(SEQUENCE, oid(CONTENT_TYPE), der(SET, oid(TST_INFO))),
                der(SEQUENCE, oid(MESSAGE_DIGEST), der(SET, der(OCTETS, hashlib.sha256(info).digest()))),
            ]
        )
        signature = self._key.sign(der(SET, *attributes), padding.PKCS1v15(), hashes.SHA256())
        who = der(SEQUENCE, self._certificate.issuer.public_bytes(), integer(self._certificate.serial_number))
        return der(
            SEQUENCE,
            integer(1),
            who,
            algorithm(SHA256),
            der(0xA0, *attributes),
            algorithm(RSA_SHA256),
            der(OCTETS, signature),
        )
