"""A person is asked in the language of the vendor's directory, and reads *My license* in that of the browser."""

from __future__ import annotations

import pytest

from subscriptions.models import RequestedRemoval, Subscription
from subscriptions.notices.mail import language_of_person
from tests.support.people.notices import Asking, text_of


@pytest.mark.parametrize(
    ("told", "default", "language"),
    [
        ("de_DE", "en", "de"),
        ("de-AT", "en", "de"),
        ("fr-CH, de;q=0.8", "en", "de"),
        ("en_US", "de", "en"),
        ("", "de", "de"),
        ("fr", "en", "en"),
    ],
)
def test_the_first_language_that_licensehub_speaks(settings, told, default, language):
    settings.DEFAULT_LANGUAGE = default
    assert language_of_person(Subscription(language=told)) == language


def test_two_people_are_asked_each_in_their_language(asking: Asking, client):
    german, other = asking.world.candidates(2)
    asking.world.sandbox.world.members[german.subscription.external_id].scim = {"preferredLanguage": "de_DE"}
    asking.world.download()
    request = asking.asked(2)
    people = {person.candidate_id: person for person in RequestedRemoval.objects.filter(request=request)}

    [mail] = asking.server.to(german.subscription.email)
    assert mail["Subject"] == "Brauchen Sie Ihre Miro-Lizenz noch?"
    text, html = (str(part.get_content()) for part in mail.iter_parts())
    assert "Bitte antworten Sie bis" in text and '<html lang="de">' in html and "Please" not in text + html
    [mail] = asking.server.to(other.subscription.email)
    assert mail["Subject"] == "Do you still need your Miro license?"

    path = asking.link(people[other.pk])
    page = text_of(client.get(path, headers={"accept-language": "de-DE,de;q=0.9"}))
    assert "Meine Lizenz behalten" in page and "Keep my license" not in page
    assert "Keep my license" in text_of(client.get(path, headers={"accept-language": "fr, en;q=0.5"}))
