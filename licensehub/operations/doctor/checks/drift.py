"""Whether somebody changed by hand what a file of configuration had set."""

from __future__ import annotations

from integrations.connectors.contract import english
from licensehub.configuration.drift import last_drift
from licensehub.operations.doctor.findings import Context, Finding, Level, Step, check


@check("configuration")
def configuration(context: Context) -> Finding:
    """No section of the file that was applied last was changed by hand since."""
    drift = last_drift()
    if drift is None:
        return Finding(Level.NONE, english("No file of configuration was applied"), english("no file"))
    if drift.changed is None:
        title = english("Nothing was changed since a file of configuration was applied")
        return Finding(Level.OK, title, f"{drift.applied.at:%Y-%m-%d %H:%M} UTC")
    steps = (
        Step(english("Look at this event of the audit, and at later ones: they say who changed what.")),
        Step(english("See what differs. Then change the file, or apply it again."), "licensehub apply FILE --plan"),
    )
    title = english("Something was changed by hand after a file of configuration was applied")
    return Finding(Level.LOOK, title, f"#{drift.changed.sequence}", steps=steps, since=drift.changed.at)
