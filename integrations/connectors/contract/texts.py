"""The texts about a vendor on screens and in mails. The defaults are neutral; a connector replaces some of them."""

from __future__ import annotations

from dataclasses import dataclass

from integrations.connectors.contract.wording import english


@dataclass(frozen=True, slots=True)
class Texts:
    """The vendor's name and the sentences that depend on the vendor, in English and marked for translation.

    Each comment shows the sentence that the text becomes a part of.
    """

    # The vendor's name in the middle of a sentence: "Reconcile with …".
    vendor: str = english("the vendor")
    # The name of a person's id, as column and field.
    member_id: str = english("Vendor ID")
    # "Set up its connections: ….", on the first page while there is no profile.
    set_up: str = english("what LicenseHub needs to read members and to take seats back")
    # The name of the license, followed by one space: "Do you still need your … license?".
    license: str = ""

    # --- To the person who may lose the seat
    # A whole sentence with {day} and {ago}: "Mar 3, 2026", "90 days ago".
    last_used: str = english("You last used it on {day}, {ago}.")
    never_used: str = english("You have not used it since you got your license.")
    # The things that stay. The first sentence is bold.
    stays: tuple[str, str] = (english("What you made stays."), english("LicenseHub deletes nothing."))
    # The things that the person can no longer do. The first part is bold, the second ends the sentence.
    loses: tuple[str, str] = (english("You can no longer sign in"), english("with your work account."))
    # "You can get it back. Write to IT. …"
    back: str = english("Your account will be activated again.")

    # --- To the people who decide
    # The change that an approval makes. The first part is bold.
    impact_sign_in: str = english("They can no longer sign in.")
    impact_stays: tuple[str, str] = (english("What they made stays,"), english("LicenseHub deletes nothing."))
    # The same for one person: "No sign-in …", and what stays.
    no_sign_in: str = english("No sign-in")
    person_stays: str = english("What the person made stays; LicenseHub deletes nothing.")
    # "1 is … now."
    refused_role: str = english("a person that the vendor refuses to deactivate")
    # The text of an approval when nobody has such a role.
    nobody_refused: tuple[str, str] = (
        english("Nobody has a role"),
        english("that the vendor would refuse to deactivate."),
    )
    # "Never requested: …, and people you protect."
    never_proposed: str = english("people that the vendor refuses to deactivate")
    # "… cannot be removed."
    cannot_be_removed: str = english("People that the vendor refuses to deactivate")
    # The things that a restore brings back, and those that it cannot bring back.
    comes_back: tuple[str, ...] = (english("The person can sign in again at once."),)
    cannot_come_back: tuple[str, ...] = (english("The vendor decides which license it gives."),)

    # The advice for a person who is let back in after each reclaim.
    let_back_in: str = english(
        "An identity provider activates everybody who is in the group that gives the app, at each synchronization. "
        "Remove this person from that group at the provider, or protect the person here."
    )
    # "0 of 214 Full are free now. …", if a restore needs more licenses than are free.
    no_free_license: str = english("The vendor may give another license, or refuse.")

    # --- To the people who keep the connection working
    # "check that …", when an answer holds nobody.
    reader_check: str = english("the connection may still read all members")
    # When the vendor's directory knows nobody of the organization.
    foreign_directory: str = english(
        "The directory knows nobody of this organization, so its credentials seem to belong to another one. Nothing is "
        "sent through them. Set the credentials of this organization here."
    )
    # The API that programs use for changes: "a deactivation through …", "who else uses … with the vendor".
    written_through: str = english("its API")
    # The reason that the vendor's own log was not read, and the next step.
    log_not_granted: str = english(
        "This connection may not read the log. Without it, LicenseHub does not see deactivations that it did not send."
    )


# The texts for pages where several vendors are possible.
NEUTRAL = Texts()
