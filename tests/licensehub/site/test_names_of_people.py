"""People are shown by their names. The username stands only where a page is about accounts."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.urls import reverse

from integrations.connections.validation import validate_connections
from integrations.sending import stop_all
from subscriptions import review, sweep
from subscriptions.approvals import closing, decide, undo
from subscriptions.approvals.request import request_reclaim
from subscriptions.downloads.run import download_subscriptions
from subscriptions.models import Per, Reclaim, ReclaimRequest, Subscription
from subscriptions.models.download import StartedBy
from subscriptions.money.contracts import ContractInput, save_contract
from subscriptions.money.prices import PriceInput, enter_price, withdraw_price
from subscriptions.notifications import delivery
from subscriptions.reclaims import restores
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.rules import protections
from tests.licensehub.site.roles.role_matrix import LISTS
from tests.support.fixtures import in_effect
from tests.support.people.keeping import PROTECT, pause
from tests.support.people.organization import page
from tests.support.web.all_pages import prepare

# Begins each username here, and stands in no other text.
MARK = "qx7-"
FOLDERS = ("licensehub", "integrations", "subscriptions", "templates")
NAMES = ("Lindqvist", "Novak", "Berg")
# Accounts are the subject of these pages, so they name the account beside the person.
ABOUT_ACCOUNTS = ("auth_user", "audit_auditevent", "subscriptions_rightschange", "new passkey", "set up a factor")


def named(username: str, role: str, first: str, last: str) -> User:
    user = User.objects.create_user(
        MARK + username,
        f"{first}@northwind.example",
        "a long password",
        is_staff=True,
        first_name=first,
        last_name=last,
    )
    user.groups.add(Group.objects.get(name=role))
    in_effect(user)
    return user


@pytest.fixture
def asks(db) -> User:
    return named("asks", "License manager", "Marcus", "Lindqvist")


@pytest.fixture
def decides(db) -> User:
    return named("decides", "Approver", "Jana", "Novak")


@pytest.fixture
def reads(db) -> User:
    return named("reads", "Company admin", "Rita", "Berg")


@pytest.fixture
def worked(world, asks, decides, reads) -> dict[str, str]:
    """Each person did something of each kind that a page tells. Returns name -> address of the pages of `all_pages`."""
    pages = prepare(world, asks=asks, decides=decides)
    profile, why = world.profile, "A reason of some words"
    reclaims, requests = Reclaim.objects, ReclaimRequest.objects
    download_subscriptions(profile, actor=reads, started_by=StartedBy.PERSON)
    # A restore alone, and one that another person decides.
    decide.approve(request_reclaim(world.candidates(2), actor=asks, reason=why), actor=decides, comment="Fine")
    reclaim_due(profile)
    first, second, *_others = reclaims.filter(state="done").order_by("pk")
    restores.restore(first, actor=asks, reason=why)
    restores.request_restore(reclaims.filter(pk=second.pk), actor=asks, reason=why)
    # A drop, a person taken back in, a rejection, and one that was taken back.
    waiting = requests.filter(state="open", direction="deactivate").get()
    dropped, back, _third = waiting.removals.order_by("pk")
    closing.drop(dropped, actor=decides, reason=why, keep=pause())
    closing.drop(back, actor=decides, reason=why, keep=PROTECT)
    back.refresh_from_db()
    undo.take_back_in(back, actor=decides, decides=True)
    for _turn in range(2):
        request = request_reclaim(world.candidates(1), actor=asks, reason=why)
        decide.reject(request, actor=decides, comment=why)
    undo.take_back_rejection(requests.get(pk=request.pk), actor=decides)
    closing.cancel(request_reclaim(world.candidates(1), actor=asks), actor=asks)
    # Protections, one of which has ended, and people whom somebody reviewed.
    people = list(Subscription.objects.candidates().order_by("pk")[:2])
    wish = protections.ProtectionInput(why, "Ann")
    [made] = protections.protect_people(profile, people[:1], wish, actor=asks).made
    protections.protect_people(profile, people[1:], wish, actor=asks)
    protections.end_protection(made, actor=decides)
    review.make_candidates(_to_review(1), reason=why, actor=asks)
    review.keep(_to_review(1), days=90, reason=why, actor=asks)
    # Money.
    price = PriceInput("full", Decimal(240), "USD", Per.YEAR, date(2025, 1, 1))
    withdraw_price(enter_price(profile, price, actor=reads), reason=why, actor=reads)
    enter_price(profile, price, actor=reads)
    term = ContractInput("full", 100, date(2025, 1, 1), date(2027, 1, 1), date(2026, 12, 1), owner=reads)
    save_contract(profile, term, seen="none", actor=reads)
    stop_all(actor=reads, reason=why)
    # A look-up validates, too, so this comes last.
    validate_connections(profile, actor=reads)
    return pages


def _to_review(count: int) -> list[Subscription]:
    return list(Subscription.objects.with_verdict("never_active").order_by("pk")[:count])


def pages_of_rows() -> dict[str, str]:
    """Each list, its file, and the pages of its newest rows and of the people about whom somebody did something."""
    concerned = Subscription.objects.filter(candidates__removals__isnull=False) | Subscription.objects.exclude(
        cooldown_reason=""
    )
    found = {f"person {row.pk}": page("subscription", "change", row.pk) for row in concerned.distinct()}
    for name in set(LISTS) - {"auth_group"}:
        found[name] = reverse(f"admin:{name}_changelist")
        found[f"file {name}"] = reverse(f"admin:{name}_export")
        model = apps.get_model(name.replace("_", ".", 1))
        for pk in model._default_manager.order_by("-pk").values_list("pk", flat=True)[:12]:
            found[f"one {name} {pk}"] = reverse(f"admin:{name}_change", args=[pk])
    return found


def test_no_page_shows_a_username_in_place_of_a_name(worked, client):
    reader = named("looks", "Company admin", "Olga", "Person")
    reader.is_superuser = True
    reader.save()
    client.force_login(reader)
    people, shown = set(), {}
    for name, address in (worked | pages_of_rows()).items():
        answer = client.get(address)
        text = (b"".join(answer) if answer.streaming else answer.content).decode()
        people |= {last for last in NAMES if last in text}
        if MARK in text and not any(subject in name for subject in ABOUT_ACCOUNTS):
            shown[name] = [text[max(0, found.start() - 60) : found.end() + 20] for found in re.finditer(MARK, text)]
    assert shown == {}
    assert people == set(NAMES), "somebody is on no page, so these pages tell little"


def test_no_mail_to_colleagues_names_an_account(worked, asks, decides, reads, mailoutbox):
    sweep.repair()
    sweep.notify()
    delivery.deliver_due()
    texts = [f"{sent.subject} {sent.body}" for sent in mailoutbox]
    assert any("Lindqvist" in text for text in texts)
    assert [text for text in texts if MARK in text] == []


def test_one_place_writes_a_name():
    """A page that puts a name together itself would forget who has none, or which account is meant."""
    lists = {"licensehub/site/admin.py", "subscriptions/admin/accounts/rights_change_admin.py"}
    allowed = {"licensehub/ui/formatting.py", "licensehub/ui/names.py", "licensehub/api/reading/accounts.py", *lists}
    root = settings.BASE_DIR
    files = [file for folder in FOLDERS for kind in ("py", "html") for file in (root / folder).rglob(f"*.{kind}")]
    found = {str(file.relative_to(root)) for file in files if "get_full_name" in file.read_text()}
    # The way to a page: unfold gives it any object.
    assert found - {"templates/unfold/helpers/header_title.html"} == allowed
