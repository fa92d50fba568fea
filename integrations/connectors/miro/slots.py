"""The two connections that Miro needs, and the guides beside their forms.

Miro describes the values at https://developers.miro.com/docs/getting-started-with-enterprise-api (app) and
https://developers.miro.com/docs/how-to-enable-scim (SCIM).
"""

from __future__ import annotations

from integrations.connectors.contract import Field, Guide, Slot, english
from integrations.connectors.miro.errors import REST, SCIM

REST_SLOT = Slot(
    name=REST,
    label=english("OAuth app"),
    fields=(
        Field(name="client_id", label=english("Client ID"), secret=False),
        Field(name="client_secret", label=english("Client secret")),
    ),
    token="access_token",  # noqa: S106 - the name under which it is kept
    oauth=True,
    variable="MIRO_ACCESS_TOKEN",
    guide=Guide(
        steps=(
            english(
                "In Miro, open your profile settings, then Your apps, and create an app on a Developer team. Keep "
                "“Expire user authorization token” ticked."
            ),
            english("Under Redirect URI for OAuth 2.0, enter the redirect address shown here, exactly as it is."),
            english(
                "Under Permissions, tick organizations:read. You can also tick organizations:teams:read and "
                "auditlogs:read. Nothing else is needed."
            ),
            english("Copy the client ID and the client secret from the app's page into this form, and store them."),
            english(
                "Choose Connect to Miro. Sign in as a company admin, and pick a production team of your Enterprise "
                "organization, not the Developer team."
            ),
        ),
        least=(
            english(
                "organizations:read. With organizations:teams:read, LicenseHub shows in advance who is the only "
                "admin of a team: Miro does not deactivate these people. With auditlogs:read, it finds its changes "
                "in Miro's own log. LicenseHub works without these two; Validate connection shows which of them "
                "the app has."
            )
        ),
        will=(
            english("Read the organization: its name, plan, and how many Full licenses were bought."),
            english("Read its members: e-mail address, license, role, last activity."),
            english("If you allow it, read the teams and their admins, and Miro's audit log."),
        ),
        will_not=(
            english("Read or change boards."),
            english("Change anybody's license, role or team."),
            english("See anybody's password."),
        ),
        link="https://developers.miro.com/docs/getting-started-with-enterprise-api",
    ),
)
SCIM_SLOT = Slot(
    name=SCIM,
    label=english("SCIM API token"),
    variable="MIRO_SCIM_TOKEN",
    fields=(Field(name="token", label=english("Token")),),
    guide=Guide(
        steps=(
            english(
                "In Miro, open the company settings as a company admin, then Apps and integrations, Enterprise "
                "integrations. SSO must be on."
            ),
            english("Switch SCIM provisioning on, if it is not yet."),
            english(
                "Copy the SCIM API token into this form. If your identity provider uses it as well, do not "
                "generate a new one: the old one may stop working at once."
            ),
        ),
        least=english("Miro has one SCIM token for the whole organization, and it has no scopes. Keep it only here."),
        will=(
            english(
                "Read names, departments, cost centers, employee numbers and managers after each complete download."
            ),
            english("Deactivate a person after a second person has approved it, and reactivate them when asked."),
        ),
        will_not=(
            english("Delete anybody: LicenseHub has no call that deletes."),
            english("Change names, licenses, roles or groups."),
        ),
        link="https://developers.miro.com/docs/how-to-enable-scim",
    ),
)
