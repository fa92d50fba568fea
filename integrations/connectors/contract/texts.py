"""What screens and mails say about a vendor. The defaults are neutral: a connector sets what it can say better."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Texts:
    """The vendor's name and the sentences that depend on the vendor.

    Each comment shows the sentence that the text becomes a part of.
    """

    # As people call it, in the middle of a sentence: "Reconcile with …".
    vendor: str = "the vendor"
    # The name of a person's id, as column and field.
    member_id: str = "Vendor ID"
    # "Set up its connections: ….", on the first page while there is no profile.
    set_up: str = "what LicenseHub needs to read members and to take seats back"
    # How a person calls the license: "Do you still need your … license?". A name, followed by one space.
    license: str = ""

    # --- To the person who may lose the seat
    # "… Mar 3, 2026, 90 days ago."
    last_used: str = "You last used it on"
    never_used: str = "You have not used it since you got your license."
    # What stays: the first sentence stands out.
    stays: tuple[str, str] = ("What you made stays.", "LicenseHub deletes nothing.")
    # What the person can no longer do: the first part stands out, the second ends the sentence.
    loses: tuple[str, str] = ("You can no longer sign in", "with your work account.")
    # "You can get it back. Write to IT. …"
    back: str = "Your account will be activated again."

    # --- To the people who decide
    # What an approval changes: the first part stands out.
    impact_sign_in: str = "They can no longer sign in."
    impact_stays: tuple[str, str] = ("What they made stays,", "LicenseHub deletes nothing.")
    # Of one person: "No sign-in …", and what stays.
    no_sign_in: str = "No sign-in"
    person_stays: str = "What the person made stays; LicenseHub deletes nothing."
    # "1 is … now."
    refused_role: str = "a person whom the vendor refuses to deactivate"
    # What an approval says when nobody is one of them.
    nobody_refused: tuple[str, str] = ("Nobody has a role", "that the vendor would refuse to deactivate.")
    # "Never proposed: …, and people you protect."
    never_proposed: str = "people whom the vendor does not let go"
    # "… cannot be removed."
    cannot_be_removed: str = "People whom the vendor refuses to deactivate"
    # What comes back with a restore, and what cannot.
    comes_back: tuple[str, ...] = ("The person can sign in again at once.",)
    cannot_come_back: tuple[str, ...] = ("The vendor decides which license it gives.",)

    # --- To the people who keep the connection working
    # "check that …", when an answer holds nobody.
    reader_check: str = "the connection may still read all members"
    # When the vendor's directory knows nobody of the organization.
    foreign_directory: str = (
        "The directory knows nobody of this organization, so its credentials seem to belong to another one. Nothing is "
        "sent through them. Set the credentials of this organization here."
    )
    # Through what programs write: "a deactivation through …", "who else uses … with the vendor".
    written_through: str = "its API"
    # Why the vendor's own log was not read, and what to do.
    log_not_granted: str = (
        "This connection may not read the log. Without it, deactivations that LicenseHub did not send are seen by "
        "nobody here."
    )


# What is said where several vendors are possible.
NEUTRAL = Texts()
