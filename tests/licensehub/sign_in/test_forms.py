"""The sign-in says in plain words what does not fit, and not which of the two."""

from __future__ import annotations

from django.urls import reverse

from tests.support.fixtures import person
from tests.support.web.pages import text_of

LOGIN = "admin:login"


def test_a_wrong_name_and_a_wrong_password_get_the_same_plain_answer(client, db):
    person("alice", "Auditor")
    person("bob", None).__class__.objects.filter(username="bob").update(is_staff=False)
    wrong = {"username": "alice", "password": "no"}, {"username": "nobody", "password": "no"}
    others = {"username": "bob", "password": "a long password of bob"}
    for language, sentence in (
        ("en", "The username and the password do not belong together."),
        ("de", "Benutzername und Passwort gehören nicht zusammen."),
    ):
        for given in (*wrong, others):
            page = text_of(client.post(reverse(LOGIN), given, headers={"accept-language": language}))
            assert sentence in page and "taff" not in page.split("<body")[-1].split("</form>")[0], given
    assert client.post(reverse(LOGIN), {"username": "alice", "password": "a long password of alice"}).status_code == 302
