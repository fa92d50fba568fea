"""All checks, in the order in which they are shown. A new module is a line here."""

from licensehub.operations.doctor.checks import (  # noqa: F401, I001 - the order is that of the output
    database,
    keys,
    broker,
    processes,
    mail,
    webhooks,
    machines,
    work,
    evidence,
    backups,
    drift,
)
