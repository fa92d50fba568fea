"""Webhooks: their rows, and the secrets in them. `subscriptions.webhooks` says what is sent."""
