"""The steps from a fresh installation to the first verified reclaim, on the overview until then.

Nothing is stored: each step asks the data what it is now, so a step that broke again shows it. People who may do a step
get its button; the others read whom to ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, Group, User
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.admin.connection_admin import CHANGE
from integrations.admin.credentials_form import input_name
from integrations.admin.findings import OPERATE
from integrations.connectors.registry import connector_class, vendor_texts
from integrations.models import Connection, ConnectionState, IntegrationProfile, ProfileState
from licensehub.site.accounts.invitations import is_open
from licensehub.site.dashboard.first_request import REQUEST, request_step
from licensehub.site.dashboard.links import page
from licensehub.site.dashboard.steps import Button, SecretInput, Step, StepState, allowed
from licensehub.translations.stored import translated
from licensehub.ui.formatting import ago, counts_of, day, number
from licensehub.ui.names import names_of
from subscriptions.accounts.mailbox import mailbox
from subscriptions.accounts.origins import TIED_FOR, hands, tied_to
from subscriptions.accounts.rights import DECIDE, able, people_with
from subscriptions.admin.downloads.actions import progress_of
from subscriptions.admin.profiles.actions import missing_slots, not_validated
from subscriptions.admin.profiles.profile_page import is_due
from subscriptions.company.company import company
from subscriptions.models import DownloadRun, Price, Protection, Reclaim
from subscriptions.models.reclaims.reclaim import VERIFIED

CREATE, INVITE = "integrations.add_integrationprofile", "auth.add_user"
ROLE = "Approver"


@dataclass(frozen=True, slots=True)
class SetUp:
    """The setup as the overview shows it.

    `running`: the first download, while it runs. `due`: it begins within a minute. `worth`: tasks that are useful, too.
    `roles`: the roles of a new account, the usual one first; empty for users who cannot invite the second person now.
    """

    steps: tuple[Step, ...]
    vendor: str
    running: dict[str, Any] | None
    due: bool
    worth: tuple[Step, ...]
    roles: tuple[tuple[int, str], ...]

    @property
    def done(self) -> int:
        return sum(step.state == StepState.DONE for step in self.steps)


def is_set_up() -> bool:
    """True when a seat was reclaimed and read back, in any profile."""
    return Reclaim.objects.filter(VERIFIED).exists()


def set_up(profile: IntegrationProfile | None, last: DownloadRun | None, user: User | AnonymousUser) -> SetUp:
    """The steps of this profile, or of an installation without any. `last` is its last complete download."""
    newest = DownloadRun.objects.filter(profile=profile).first() if profile and last is None else None
    steps = [
        _connect(profile, user),
        _test(profile, user),
        _publish(profile, last, newest, user),
        _second_person(profile, user),
    ]
    reached = all(step.state == StepState.DONE for step in steps[2:])
    steps.append(request_step(profile, user, reached=reached))
    return SetUp(
        steps=tuple(steps),
        vendor=vendor_texts().vendor,
        running=progress_of(newest) if newest and newest.is_under_way else None,
        due=bool(profile and last is None and newest is None and is_due(profile)),
        worth=tuple(_worth_doing(user)),
        roles=_roles(user) if steps[3].state != StepState.DONE else (),
    )


def _roles(user: User | AnonymousUser) -> tuple[tuple[int, str], ...]:
    roles = Group.objects.order_by("name").values_list("pk", "name") if user.has_perm(INVITE) else ()
    usual_first = sorted(roles, key=lambda role: role[1] != ROLE)
    return tuple((pk, translated(name)) for pk, name in usual_first)


def _worth_doing(user: User | AnonymousUser) -> Iterator[Step]:
    """Useful tasks beside the steps that this user may do and that nobody has done yet."""
    name = Button(_("Name the company"), "apartment", reverse("admin:subscriptions_company_changelist"))
    price = Button(_("Enter the price of a seat"), "sell", reverse("admin:subscriptions_price_add"))
    protect = Button(_("Protect people"), "shield_person", reverse("admin:subscriptions_protection_changelist"))
    useful = (
        ("change_company", not company().name, name, _("People who are asked read its name.")),
        ("add_price", not Price.objects.exists(), price, _("Then savings are shown as money.")),
        ("add_protection", not Protection.objects.exists(), protect, _("Nobody of them is ever proposed.")),
    )
    for permission, missing, button, text in useful:
        if missing and user.has_perm(f"subscriptions.{permission}"):
            yield Step(button.label, text, StepState.NEXT, buttons=(button,))


def _connect(profile: IntegrationProfile | None, user: User | AnonymousUser) -> Step:
    title = _("Connect {vendor}").format(vendor=profile.vendor if profile else vendor_texts().vendor)
    if profile is None:
        catalog = _(" or ").join(connector_class(kind).label for kind in settings.CONNECTORS)
        text = _(
            "Nothing is connected yet. Create an integration profile: choose {connector} in the catalog, and set up "
            "{credentials}."
        )
        add = Button(_("New integration profile"), "add", reverse("admin:integrations_integrationprofile_add"))
        buttons, ask = allowed(user, CREATE, add)
        text = text.format(connector=catalog, credentials=vendor_texts().set_up)
        return Step(title, text, StepState.NEXT, buttons=buttons, ask=ask)
    missing = missing_slots(profile)
    if missing:
        text = _("Still to do: {steps}. A guide beside each form shows where to find the values.")
        rows = Connection.objects.filter(profile=profile, slot__in=missing)
        links = {row.slot: page("integrations_connection", row.pk) for row in rows}
        opens = [
            Button(step[:1].upper() + step[1:], "key", links[slot]) for slot, step in missing.items() if slot in links
        ]
        buttons, ask = allowed(user, CHANGE, *opens)
        return Step(title, text.format(steps=", ".join(missing.values())), StepState.NEXT, buttons=buttons, ask=ask)
    organization = profile.organization_name or profile.name
    text = _("{organization}: all connections are set up.").format(organization=organization)
    change = Button(_("Change"), "edit", page("integrations_integrationprofile", profile.pk))
    return Step(title, text, StepState.DONE, buttons=(change,) if user.has_perm(CHANGE) else ())


def _test(profile: IntegrationProfile | None, user: User | AnonymousUser) -> Step:
    title = _("Test the connection")
    if profile is None or missing_slots(profile):
        return Step(title, _("Possible when the connections are set up."), StepState.LATER)
    test = reverse("admin:integrations_integrationprofile_validate", args=[profile.pk])
    again = Button(_("Validate connection"), "fact_check", action=test)
    broken = Connection.objects.filter(profile=profile, state=ConnectionState.ERROR).first()
    errors = [finding for finding in profile.findings if finding["level"] == "error"]
    if broken or errors:
        row = broken or Connection.objects.filter(profile=profile, slot=errors[0]["slot"]).first()
        opens = (Button(_("Open the connection"), "key", page("integrations_connection", row.pk)),) if row else ()
        buttons, ask = allowed(user, OPERATE, *opens, again)
        text, details = _what_is_wrong(errors, broken)
        return Step(title, text, StepState.FAILED, details, buttons=buttons, ask=ask, secret=_new_secret(row, user))
    if profile.validated_at is None:
        buttons, ask = allowed(user, OPERATE, again)
        text = _("Real calls that change nothing show what works and what is missing.")
        return Step(title, text, StepState.NEXT, buttons=buttons, ask=ask)
    counts = counts_of(finding["level"] for finding in profile.findings)
    text = _("Tested {when}: {counts}.").format(when=ago(profile.validated_at), counts=counts)
    return Step(title, text, StepState.DONE)


def _what_is_wrong(errors: list[dict[str, Any]], broken: Connection | None) -> tuple[str, tuple[str, ...]]:
    """The first error that the validation found, and what to do; else the error of the connection."""
    if not errors:
        return translated(broken.error) if broken else "", ()
    found = errors[0]
    parts = (f"{translated(found['title'])}.", translated(found["detail"]), translated(found["next_step"]))
    return " ".join(filter(None, parts)), tuple(translated(step) for step in found["steps"])


def _new_secret(row: Connection | None, user: User | AnonymousUser) -> SecretInput | None:
    """An input for the secret of a connection that needs no more than this one, for those who may store and test it."""
    if row is None or not (user.has_perm(CHANGE) and user.has_perm(OPERATE)):
        return None
    slot = row.slot_definition
    if slot.oauth or len(slot.fields) != 1:
        return None
    action = reverse("admin:integrations_connection_credentials", args=[row.pk])
    return SecretInput(action, input_name(slot, slot.fields[0]), translated(slot.label))


def _publish(
    profile: IntegrationProfile | None,
    last: DownloadRun | None,
    newest: DownloadRun | None,
    user: User | AnonymousUser,
) -> Step:
    title = _("Publish the profile")
    if profile is None or (profile.state == ProfileState.DRAFT and not_validated(profile)):
        return Step(title, _("Possible when the test has passed. Then the first download starts."), StepState.LATER)
    action = "admin:integrations_integrationprofile_action"
    if profile.state == ProfileState.DRAFT:
        button = Button(_("Publish"), "rocket_launch", action=reverse(action, args=[profile.pk, "publish"]))
        buttons, ask = allowed(user, OPERATE, button)
        text = _("The first download starts within a minute. It only reads.")
        return Step(title, text, StepState.NEXT, buttons=buttons, ask=ask)
    if profile.state == ProfileState.PAUSED:
        button = Button(_("Unpause"), "play_arrow", action=reverse(action, args=[profile.pk, "unpause"]))
        buttons, ask = allowed(user, OPERATE, button)
        text = _("The profile is paused: nothing is downloaded, requested or sent.")
        return Step(title, text, StepState.FAILED, buttons=buttons, ask=ask)
    if last is not None:
        members = last.stats.get("members", 0)
        text = ngettext("{run} is complete: {count} member.", "{run} is complete: {count} members.", members)
        text = _("Published {day}. {download}").format(
            day=day(profile.published_at), download=text.format(run=last.number, count=number(members))
        )
        return Step(title, text, StepState.DONE)
    return _first_download(title, newest, user)


def _first_download(title: str, newest: DownloadRun | None, user: User | AnonymousUser) -> Step:
    """The step of a published profile without a complete download."""
    if newest is None or newest.is_under_way:
        return Step(
            title, _("It is published. The numbers appear when the first download is complete."), StepState.WAITING
        )
    opens = Button(
        _("Open {run}").format(run=newest.number), "open_in_new", page("subscriptions_downloadrun", newest.pk)
    )
    buttons = (opens,) if user.has_perm("subscriptions.view_downloadrun") else ()
    state = newest.get_state_display().lower()
    text = _("The first download is {state}. {problem}").format(state=state, problem=translated(newest.problem))
    return Step(title, text.strip(), StepState.FAILED, buttons=buttons)


def _two_people(title: str, asks: dict[int, User], decides: dict[int, User]) -> Step:
    """The step is done, unless nobody may decide on what anybody asks for, since the accounts are tied."""
    text = _("{asks} may ask, {decides} may approve. Nobody approves their own request.")
    made_by = hands()
    all_tied = all(decides.keys() - {asker} <= tied_to([asker], made_by) for asker in asks)
    if all_tied:
        text = _(
            "{asks} may request and {decides} may approve, but {decides} cannot approve the requests of {asks}: in "
            "the last {days} days, one of these accounts made the other, or one account made both. An operator can "
            "confirm the account of the Approver at the console (confirm_account)."
        )
    names = {
        "asks": names_of(asks[pk] for pk in sorted(asks)),
        "decides": names_of(decides[pk] for pk in sorted(decides)),
        "days": TIED_FOR.days,
    }
    return Step(title, text.format(**names), StepState.WAITING if all_tied else StepState.DONE)


def _second_person(profile: IntegrationProfile | None, user: User | AnonymousUser) -> Step:
    """One person asks and another one decides. So two people must have an address and have signed in."""
    title = _("Invite a second person")
    pk = profile.pk if profile else None
    asking, deciding = people_with(REQUEST, pk), people_with(DECIDE, pk)
    waiting = able().exclude(pk__in=people_with(DECIDE).values("pk"))
    ready = {account.pk: account for account in asking | deciding if account.email.strip()}
    invited = [account for account in {*ready.values(), *waiting} if is_open(account)]
    joined = ready.keys() - {account.pk for account in invited}
    asks = set(asking.values_list("pk", flat=True)) & joined
    decides = set(deciding.values_list("pk", flat=True)) & joined
    # Two accounts with one mailbox are one person.
    if asks and decides and len({mailbox(ready[pk].email) for pk in asks | decides}) > 1:
        return _two_people(title, {pk: ready[pk] for pk in asks}, {pk: ready[pk] for pk in decides})
    _buttons, ask = allowed(user, INVITE)
    if invited:
        text = _("{names} was invited and has not signed in yet.").format(names=names_of(invited))
        return Step(title, text, StepState.WAITING, ask=ask)
    if waiting:
        text = _(
            "{names} may not decide yet: a second admin has to confirm this right under “Changes of rights”, or an "
            "operator at the console (confirm_account)."
        )
        return Step(title, text.format(names=names_of(waiting)), StepState.WAITING, ask=ask)
    text = _("Somebody else has to approve each request: nobody approves their own. Both need an e-mail address.")
    return Step(title, text, StepState.NEXT, ask=ask)
