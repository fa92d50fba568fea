"""*Download now* on the list of downloads: for those who may, where one profile is published."""

from __future__ import annotations

from django.urls import reverse

from integrations.models import IntegrationProfile
from tests.support.web.pages import text_of

LIST = reverse("admin:subscriptions_downloadrun_changelist")


def offered(client) -> bool:
    return "Download now" in text_of(client.get(LIST))


def test_who_may_start_a_download_can_do_it_from_the_list(organization, sign_in):
    operator = sign_in("Operator")
    act = reverse("admin:integrations_integrationprofile_action", args=[organization.profile.pk, "download"])
    assert offered(operator) and f'action="{act}"' in operator.get(LIST).content.decode()
    assert not offered(sign_in("Auditor"))
    IntegrationProfile.objects.update(state="paused")
    assert not offered(operator)


def test_with_several_profiles_their_own_pages_have_it(organization, us, sign_in):
    assert not offered(sign_in("Operator"))
