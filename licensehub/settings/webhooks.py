"""The settings of webhooks. docs/webhooks.md explains them."""

from __future__ import annotations

from ipaddress import ip_network

from licensehub.settings.base import env, reader

# The hosts that webhooks may call. None by default: then no webhook sends anything.
WEBHOOK_HOSTS = reader.hosts("WEBHOOK_HOSTS")
# Networks that are not public and may be called all the same.
WEBHOOK_NETWORKS = [ip_network(word) for word in reader.networks("WEBHOOK_NETWORKS")]
# A PEM file with certificate authorities that are trusted beside the public ones.
WEBHOOK_CA_BUNDLE = env.str("WEBHOOK_CA_BUNDLE", default="").strip()
# Deliveries are kept for so many days.
WEBHOOK_DELIVERY_DAYS = reader.at_least_one("WEBHOOK_DELIVERY_DAYS", 30)
