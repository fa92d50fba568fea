"""Ask one person of the running demo by mail, and print the path of the link."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

import django


def main() -> None:
    django.setup()
    from django.contrib.auth.models import User
    from django.utils import timezone

    from subscriptions.approvals.request import request_reclaim
    from subscriptions.models import ReclaimRule, RemovalCandidate
    from subscriptions.notices.answers import link_for
    from subscriptions.rules.rules import change_rule

    manager = User.objects.get(username="manager")
    change_rule(ReclaimRule.objects.get(), actor=manager, changed={"notify_user": True})
    one = (
        RemovalCandidate.objects.filter(state="ready").order_by("subscription__email").values_list("pk", flat=True)[:1]
    )
    chosen = RemovalCandidate.objects.filter(pk__in=list(one))
    person = request_reclaim(chosen, actor=manager, reason="Tour").removals.get()
    until, email = timezone.now() + timedelta(days=30), person.candidate.subscription.email
    print(urlsplit(link_for(person, until=until, email=email)).path)  # noqa: T201 - the caller reads it


if __name__ == "__main__":
    main()
