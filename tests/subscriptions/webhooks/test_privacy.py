"""The erasure of a person covers what webhooks were sent and will be sent; old deliveries are removed; keys rotate."""

from __future__ import annotations

import json
from datetime import timedelta

from cryptography.fernet import Fernet

from integrations.credentials.key_rotation import rotate_credentials, under_former_keys
from integrations.models import DeliveryState, Webhook, WebhookDelivery
from licensehub.database.clock import database_now
from subscriptions.models import Erasure, Subscription
from subscriptions.privacy.erase import erase
from subscriptions.webhooks.delivery import deliver_due
from subscriptions.webhooks.retention import remove_old_deliveries
from tests.support.servers.webhooks import make_webhook, stored_webhook


def test_an_erased_person_is_in_no_delivery(organization, endpoint):
    webhook, _ = make_webhook(endpoint, with_names=True)
    gone = Subscription.objects.get(name="Person 3")
    Subscription.objects.filter(pk=gone.pk).update(gone_at=database_now(), active=False)
    gone.refresh_from_db()
    people = [{"name": "Person 3", "email": gone.email}, {"name": "Person 4", "email": "person4@northwind.example"}]
    row = stored_webhook(organization.profile)
    content = {**row.content, "details": {"people": people, "comment": "Ask Person 3"}}
    WebhookDelivery.objects.filter(pk=row.pk).update(
        webhook=webhook, content=content, answer=f'{{"echo": "{gone.email}"}}'
    )
    erase(Erasure.objects.create(subscription=gone, reason="Left"))
    row.refresh_from_db()
    kept = json.dumps(row.content) + row.answer
    assert "Person 3" not in kept and gone.email not in kept
    assert "Person 4" in kept
    assert deliver_due() == 1
    assert b"Person 3" not in endpoint.seen[0].body and b"Person 4" in endpoint.seen[0].body


def test_old_deliveries_are_removed_unless_they_are_still_tried(organization, settings):
    settings.WEBHOOK_DELIVERY_DAYS = 30
    old, due, new = (stored_webhook() for _ in range(3))
    before = database_now() - timedelta(days=31)
    WebhookDelivery.objects.filter(pk__in=[old.pk, due.pk]).update(occurred_at=before)
    WebhookDelivery.objects.filter(pk__in=[old.pk, new.pk]).update(state=DeliveryState.DELIVERED)
    assert remove_old_deliveries() == 1
    assert set(WebhookDelivery.objects.values_list("pk", flat=True)) == {due.pk, new.pk}


def test_the_secrets_are_encrypted_again_with_a_new_key(organization, endpoint, settings):
    webhook, secret = make_webhook(endpoint)
    settings.CREDENTIAL_KEYS = [Fernet.generate_key().decode(), *settings.CREDENTIAL_KEYS]
    assert under_former_keys() == 1
    assert rotate_credentials().again == 1
    assert under_former_keys() == 0
    settings.CREDENTIAL_KEYS = settings.CREDENTIAL_KEYS[:1]
    assert Webhook.objects.get(pk=webhook.pk).secrets()["secret"] == secret


def test_a_ciphertext_of_another_webhook_is_not_used(organization, endpoint):
    """Somebody who can write to the database moves the secrets of one webhook to another."""
    webhook, _ = make_webhook(endpoint)
    row = stored_webhook(organization.profile)
    Webhook.objects.filter(pk=row.webhook_id).update(ciphertext=webhook.ciphertext)
    assert deliver_due() == 0
    row.refresh_from_db()
    assert "belong to another connection" in row.problem
    assert endpoint.seen == []
