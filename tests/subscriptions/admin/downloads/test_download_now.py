"""*Download now* on the list of downloads: for those who may, where one profile is published."""

from __future__ import annotations

from django.urls import reverse

from integrations.models import Connection, IntegrationProfile
from tests.support.web.pages import text_of

LIST = reverse("admin:subscriptions_downloadrun_changelist")


def form(profile: IntegrationProfile) -> str:
    """The form that starts a download of this profile."""
    return f'action="{reverse("admin:integrations_integrationprofile_action", args=[profile.pk, "download"])}"'


def offered(client) -> bool:
    return "Download now" in text_of(client.get(LIST))


def test_who_may_start_a_download_can_do_it_from_the_list(organization, sign_in):
    operator = sign_in("Operator")
    assert offered(operator) and form(organization.profile) in text_of(operator.get(LIST))
    assert not offered(sign_in("Auditor"))
    IntegrationProfile.objects.update(state="paused")
    assert not offered(operator)


def test_with_several_profiles_their_own_pages_have_it(organization, us, sign_in):
    operator = sign_in("Operator")
    assert not offered(operator)
    for profile in (organization.profile, us.profile):
        Connection.objects.create(profile=profile, slot="rest", state="working")
        page = reverse("admin:integrations_integrationprofile_change", args=[profile.pk])
        assert form(profile) in text_of(operator.get(page))
