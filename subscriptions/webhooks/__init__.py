"""Webhooks: the events that they are told, the bodies, the deliveries, and the acts of an admin."""
