"""The texts about Miro on screens and in mails.

Miro describes what a restore brings back: https://help.miro.com/hc/en-us/articles/360025025894
"""

from __future__ import annotations

from integrations.connectors.contract import Texts, english

TEXTS = Texts(
    vendor="Miro",
    member_id=english("Miro ID"),
    set_up=english("an OAuth app with the scope organizations:read, and the SCIM API token"),
    license=english("Miro "),
    last_used=english("You last opened a Miro board on {day}, {ago}."),
    never_used=english("You have not opened a Miro board since you got your license."),
    stays=(
        english("Your boards stay."),
        english("Nothing is deleted, and the people you share them with keep their access."),
    ),
    loses=(english("You can no longer sign in to Miro"), english("with your work account.")),
    back=english("Your boards will be as you left them."),
    impact_sign_in=english("They can no longer sign in to Miro."),
    impact_stays=(
        english("Their boards stay where they are,"),
        english("and nobody else becomes the owner. LicenseHub cannot see how many there are."),
    ),
    no_sign_in=english("No sign-in to Miro"),
    person_stays=english("Boards stay where they are, and colleagues keep their access."),
    refused_role=english("a company admin or guest"),
    nobody_refused=(english("No company admins,"), english("and no guests that Miro would refuse.")),
    never_proposed=english("company admins, guests and other people that Miro refuses to deactivate"),
    cannot_be_removed=english("Company admins, guests and the only admins of teams"),
    comes_back=(english("The person can sign in to Miro again at once, and finds the boards that are still theirs."),),
    cannot_come_back=(
        english("Boards that were handed over to somebody else stay with them. Ask the new owner to hand them back."),
        english(
            "Teams that the person was removed from, and roles in teams, e.g. team admin, have to be given again "
            "in Miro."
        ),
        english("Miro decides which license it gives. When none of the old kind is free, it is another one."),
    ),
    let_back_in=(
        english(
            "An identity provider, e.g. Okta or Entra ID, activates everybody who is in a group that gives Miro, "
            "at each synchronization. Remove this person from that group at the provider, or protect the person "
            "here."
        )
    ),
    no_free_license=english("Miro may give another license, e.g. Free Restricted, or refuse."),
    reader_check=english("the token's user is still a company admin"),
    foreign_directory=(
        english(
            "The directory knows nobody of this organization, so the SCIM token seems to belong to another one. "
            "Nothing is sent through it. Make a SCIM API token in this organization's company settings at Miro, "
            "and set it here."
        )
    ),
    written_through="SCIM",
    log_not_granted=(
        english(
            "The app in Miro does not have the scope auditlogs:read. Without it, LicenseHub does not see deactivations "
            "that it did not send. Add the scope in Miro and connect again."
        )
    ),
)
