"""The addresses that this installation lets webhooks call, and the sentences for those that it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.conf import settings

from integrations.connectors.contract import english
from licensehub.audit.outside import refuse_in_transaction
from licensehub.outbound.addresses import Address, NotAllowed, Policy, Reason, parse, resolve
from licensehub.outbound.pinned import Answer, Broken, NoAnswer, post

REFUSALS: Final = {
    Reason.NOT_HTTPS: english("The address must begin with https://."),
    Reason.MALFORMED: english("This is not the address of a web server. Copy the whole address again."),
    Reason.HAS_PASSWORD: english(
        "The address has a user name in it. Enter it without one; a password belongs in the field below the address."
    ),
    Reason.NOT_LISTED: english(
        "LicenseHub may not call “{host}”. An operator can allow it: add it to WEBHOOK_HOSTS, and restart."
    ),
    Reason.NO_SUCH_NAME: english("There is no host “{host}”, or it was not found now."),
    Reason.PRIVATE: english(
        "“{host}” is in a private network, which LicenseHub may not call. An operator can allow the network: add it "
        "to WEBHOOK_NETWORKS, and restart."
    ),
}
BREAKS: Final = {
    Broken.UNREACHABLE: english("The host took no connection."),
    Broken.CERTIFICATE: english("The TLS certificate is not that of the host, or is not trusted. Nothing was sent."),
    Broken.TOO_SLOW: english("The host did not answer in time."),
    Broken.BROKE_OFF: english("The host closed the connection without an answer."),
}
BAD_BUNDLE: Final = english("The file that WEBHOOK_CA_BUNDLE names cannot be read as certificates. Nothing was sent.")


class NotSent(Exception):
    """There is no answer. The text is a sentence in English, without a secret."""


def policy() -> Policy:
    return Policy(tuple(settings.WEBHOOK_HOSTS), tuple(settings.WEBHOOK_NETWORKS))


def checked(url: str) -> Address:
    """The address, if webhooks may call it now. Raises NotSent. It asks the resolver, so not in a transaction."""
    refuse_in_transaction()
    address = allowed(url)
    try:
        resolve(address, policy())
    except NotAllowed as error:
        raise NotSent(sentence_of(error)) from None
    return address


def allowed(url: str) -> Address:
    """The address, if the settings allow it; the resolver is asked by the first call. Raises NotSent."""
    try:
        return parse(url, policy())
    except NotAllowed as error:
        raise NotSent(sentence_of(error)) from None


def authority_of(url: str) -> str:
    """Host and port of a checked address, without its path, which may be secret."""
    return parse(url, policy()).authority


def sentence_of(error: NotAllowed) -> str:
    return REFUSALS[error.reason].format(host=error.host)


def send(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """POST to the address, which is checked and looked up for this call. Raises NotSent."""
    refuse_in_transaction()
    try:
        address = parse(url, policy())
        return post(address, resolve(address, policy()), body, headers, ca_bundle=settings.WEBHOOK_CA_BUNDLE)
    except NotAllowed as error:
        raise NotSent(sentence_of(error)) from None
    except NoAnswer as error:
        raise NotSent(BREAKS[error.reason]) from None
    except OSError:
        raise NotSent(BAD_BUNDLE) from None
