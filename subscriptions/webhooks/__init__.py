"""What webhooks are told, and how it gets there: events, bodies, the outbox, and the acts of an admin."""
