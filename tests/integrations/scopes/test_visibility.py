"""The reader of a page sees the rows of the profiles in their scope, by the manager of each model."""

from __future__ import annotations

from django.apps import apps
from django.db.models import Model

from integrations.models import AccountScope, IntegrationProfile, Webhook
from integrations.scopes.visibility import ProfileManager, each_seen_by, seen_by, visible
from subscriptions.models import NotificationRecipient, RemovalCandidate, RequestedRemoval, SearchText, Subscription
from subscriptions.models.reclaims.evidence import EvidencePack, EvidencePackPart
from tests.support.people.organization import Organization

# Rows of accounts: the mail to a colleague, the scope itself, and the packs that an account has asked for, which say
# themselves for which profiles they are (`kept_packs.is_for`).
OF_ACCOUNTS = {
    *(NotificationRecipient, AccountScope, AccountScope.profiles.through),
    *(EvidencePack, EvidencePackPart),
    # Read over its webhook, whose manager leaves out the webhooks of other profiles.
    Webhook.profiles.through,
}


def leads_to_profile(model: type[Model]) -> bool:
    """Whether a foreign key leads to a profile, over any number of models."""
    found, known = [model], set[type[Model]]()
    while found:
        one = found.pop()
        known.add(one)
        if one is IntegrationProfile or hasattr(one, "profile_id"):
            return True
        keys = [field.related_model for field in one._meta.get_fields() if field.concrete and field.many_to_one]
        found += [key for key in keys if key not in known]
    return False


def test_each_model_with_a_profile_says_where_it_is():
    """A new model is seen by nobody but its profile's readers, or stands in the list above."""
    models = [model for model in apps.get_models(include_auto_created=True) if leads_to_profile(model)]
    assert len(models) > 25
    open_to_all = {model for model in models if not isinstance(model._default_manager, ProfileManager)}
    assert open_to_all <= OF_ACCOUNTS, open_to_all - OF_ACCOUNTS
    with seen_by(lambda: frozenset({1})):
        for model in set(models) - OF_ACCOUNTS:
            assert "1" in str(model._default_manager.all().query).partition("WHERE")[2], model


def test_a_reader_sees_their_profiles_only(organization: Organization, us: Organization, alice):
    asked = us.ask(alice)
    mine = frozenset({organization.profile.pk})
    everybody = Subscription.objects.count()
    with seen_by(lambda: mine):
        assert visible() == mine
        assert set(Subscription.objects.values_list("profile", flat=True)) == mine
        assert not RequestedRemoval.objects.exists()
        assert not SearchText.objects.filter(text__contains="rancher").exists()
        assert not asked.removals.exists()
        assert IntegrationProfile.objects.get() == organization.profile
        # An UPDATE and a locked SELECT over models that are two steps away from their profile.
        assert RequestedRemoval.objects.filter(request=asked).update(drop_reason="x") == 0
        assert RemovalCandidate.objects.filter(profile=us.profile).update(close_reason="x") == 0
    assert visible() is None
    assert Subscription.objects.count() == everybody
    rows = each_seen_by(lambda: mine, (Subscription.objects.count() for _ in range(2)))
    assert next(rows) == 12
    assert Subscription.objects.count() == everybody
    assert list(rows) == [12]
