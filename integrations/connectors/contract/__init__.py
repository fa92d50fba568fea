"""The contract of a connector: the only names that the rest of LicenseHub uses for a vendor.

A connector is a folder beside this one and one line in `settings.CONNECTORS`. It knows no model, no Celery and no other
connector: it is given everything that it needs, and it answers with the values and errors of this package.
"""

from integrations.connectors.contract.addresses import MAX_ADDRESS, is_plain, normalized, normalized_domain
from integrations.connectors.contract.errors import (
    BadAnswer,
    ConfigError,
    ConnectorError,
    NotGranted,
    OutcomeUnknown,
    PermanentError,
    TransientError,
)
from integrations.connectors.contract.protocols import (
    Connector,
    ConnectorConfig,
    Memory,
    OAuthApp,
    RateBudget,
    TokenSource,
)
from integrations.connectors.contract.texts import NEUTRAL, Texts
from integrations.connectors.contract.values import (
    LATER,
    UNKNOWN,
    UNKNOWN_WORDS,
    Address,
    Allocation,
    Capability,
    DirectoryPage,
    Field,
    Finding,
    Grant,
    Granted,
    Guide,
    Member,
    Page,
    Person,
    Receipt,
    Slot,
    Team,
    TeamsPage,
    Usage,
    VendorEvent,
)
from integrations.connectors.contract.wording import english, english_plural

__all__ = [
    "LATER",
    "MAX_ADDRESS",
    "NEUTRAL",
    "UNKNOWN",
    "UNKNOWN_WORDS",
    "Address",
    "Allocation",
    "BadAnswer",
    "Capability",
    "ConfigError",
    "Connector",
    "ConnectorConfig",
    "ConnectorError",
    "DirectoryPage",
    "Field",
    "Finding",
    "Grant",
    "Granted",
    "Guide",
    "Member",
    "Memory",
    "NotGranted",
    "OAuthApp",
    "OutcomeUnknown",
    "Page",
    "PermanentError",
    "Person",
    "RateBudget",
    "Receipt",
    "Slot",
    "Team",
    "TeamsPage",
    "Texts",
    "TokenSource",
    "TransientError",
    "Usage",
    "VendorEvent",
    "english",
    "english_plural",
    "is_plain",
    "normalized",
    "normalized_domain",
]
