"""The bar over old verdicts is on each page that shows verdicts: of one profile, and of all."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from integrations.models import IntegrationProfile
from subscriptions.models import DownloadRun, ReclaimRule, Subscription
from tests.support.people.organization import page
from tests.support.web.pages import text_of

RULE, RUN = "has changed, and everybody is being evaluated", "evaluates everybody now"


@pytest.fixture(params=["overview", "list", "person"])
def shown(request, organization, alice, as_user):
    addresses = {
        "overview": reverse("admin:index"),
        "list": reverse("admin:subscriptions_subscription_changelist"),
        "person": page("subscription", "change", Subscription.objects.get(name="Person 11").pk),
    }
    return lambda: text_of(as_user(alice).get(addresses[request.param]))


def test_a_changed_rule_is_shown_until_everybody_is_evaluated(shown):
    assert RULE not in shown()
    ReclaimRule.objects.update(evaluation_due_at=timezone.now())
    assert f"of “{IntegrationProfile.objects.get().name}” {RULE}" in shown()


def test_a_run_is_shown_until_its_verdicts_are_written(shown):
    assert RUN not in shown()
    DownloadRun.objects.update(state="evaluating", evaluated_at=None)
    assert f"of “{IntegrationProfile.objects.get().name}” {RUN}" in shown()
