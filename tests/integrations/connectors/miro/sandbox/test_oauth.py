"""The sandbox's OAuth follows https://developers.miro.com/reference/oauth-20-authorization-v2."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.support.vendor.sandbox_client import Client

BACK = "http://localhost:8000/admin/integrations/connection/callback/"


def token(miro: Client, **form: str) -> requests.Response:
    app = {name: miro.urls[name] for name in ("client_id", "client_secret")}
    return requests.post(f"{miro.urls['api_url']}/v1/oauth/token", data={**app, **form}, timeout=30)


def exchange(miro: Client, code: str, **form: str) -> requests.Response:
    return token(miro, **{"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, **form})


def refresh(miro: Client, refresh_token: str) -> requests.Response:
    return token(miro, grant_type="refresh_token", refresh_token=refresh_token)


def installed(miro: Client, kind: str = "organization") -> dict[str, Any]:
    found: dict[str, Any] = exchange(miro, miro.control.install(BACK, team_id=miro.control.team(kind))).json()
    return found


def counters(miro: Client) -> dict[str, int]:
    found: dict[str, int] = miro.control.oauth()["counters"]
    return found


def authorize(miro: Client, **values: str) -> requests.Response:
    query = {"response_type": "code", "client_id": miro.urls["client_id"], "redirect_uri": BACK, "state": "s<1>"}
    return requests.get(miro.urls["authorize_url"], params={**query, **values}, timeout=30)


def decide(miro: Client, **values: str) -> requests.Response:
    form = {
        "response_type": "code",
        "client_id": miro.urls["client_id"],
        "redirect_uri": BACK,
        "state": "s1",
        "team_id": miro.control.team("organization"),
        "decision": "install",
    }
    return requests.post(miro.urls["authorize_url"], data={**form, **values}, allow_redirects=False, timeout=30)


def test_the_consent_page_offers_every_team(miro: Client) -> None:
    text = authorize(miro).text
    assert all(team["id"] in text for team in miro.control.oauth()["teams"])
    assert "Developer team" in text
    assert "s&lt;1&gt;" in text
    assert "s<1>" not in text


@pytest.mark.parametrize(
    "wrong", [{"client_id": "x"}, {"redirect_uri": "https://evil.example/"}, {"response_type": "token"}]
)
def test_a_wrong_app_or_address_is_sent_nowhere(miro: Client, wrong: dict[str, str]) -> None:
    for answer in (authorize(miro, **wrong), decide(miro, **wrong)):
        assert answer.status_code == 400
        assert "Location" not in answer.headers


def test_a_registered_address_must_fit_exactly(miro: Client) -> None:
    miro.control.set_toggles(redirect_uris=[BACK])
    assert authorize(miro).status_code == 200
    assert authorize(miro, redirect_uri=BACK + "?x=1").status_code == 400


def test_consent_leads_back_with_a_code_and_the_state(miro: Client) -> None:
    answer = decide(miro)
    address = urlsplit(answer.headers["Location"])
    found = parse_qs(address.query)
    assert (answer.status_code, address.path, found["state"]) == (302, urlsplit(BACK).path, ["s1"])
    assert exchange(miro, found["code"][0]).status_code == 200


def test_cancel_leads_back_with_an_error(miro: Client) -> None:
    assert parse_qs(urlsplit(decide(miro, decision="cancel").headers["Location"]).query) == {
        "error": ["access_denied"],
        "state": ["s1"],
    }


def test_a_pair_is_issued(miro: Client) -> None:
    pair = installed(miro)
    assert (pair["token_type"], pair["expires_in"]) == ("bearer", 3599)
    assert isinstance(pair["team_id"], int)
    assert "organizations:read" in pair["scope"].split()
    assert miro.rest(miro.members_path, token=pair["access_token"]).status_code == 200


def test_a_code_is_good_once_and_its_tokens_die_with_a_second_use(miro: Client) -> None:
    code = miro.control.install(BACK)
    pair = exchange(miro, code).json()
    again = exchange(miro, code)
    assert (again.status_code, again.json()["code"]) == (401, "oauthError")
    assert miro.rest(miro.members_path, token=pair["access_token"]).status_code == 401
    assert counters(miro)["code_reuse"] == 1


def test_a_code_is_good_for_ten_minutes(miro: Client) -> None:
    code = miro.control.install(BACK)
    miro.control.clock(offset_seconds=601)
    assert "expired" in exchange(miro, code).json()["message"]


@pytest.mark.parametrize("wrong", [{"redirect_uri": BACK + "x"}, {"client_secret": "x"}, {"grant_type": "password"}])
def test_a_wrong_exchange_is_refused(miro: Client, wrong: dict[str, str]) -> None:
    answer = exchange(miro, miro.control.install(BACK), **wrong)
    assert (answer.status_code, answer.json()["code"]) == (401, "oauthError")


def test_a_refresh_ends_both_old_tokens(miro: Client) -> None:
    first = installed(miro)
    second = refresh(miro, first["refresh_token"]).json()
    assert miro.rest(miro.members_path, token=first["access_token"]).status_code == 401
    assert miro.rest(miro.members_path, token=second["access_token"]).status_code == 200
    assert second["refresh_token"] != first["refresh_token"]


def test_an_old_refresh_token_ends_the_family_and_is_counted(miro: Client) -> None:
    first = installed(miro)
    second = refresh(miro, first["refresh_token"]).json()
    assert refresh(miro, first["refresh_token"]).status_code == 401
    assert miro.rest(miro.members_path, token=second["access_token"]).status_code == 401
    assert refresh(miro, second["refresh_token"]).status_code == 401
    assert counters(miro)["refresh_reuse"] == 1


def test_an_access_token_lives_an_hour_and_a_refresh_token_sixty_days(miro: Client) -> None:
    pair = installed(miro)
    miro.control.set_toggles(expired_token_code="tokenExpired")
    miro.control.clock(offset_seconds=3700)
    answer = miro.rest(miro.members_path, token=pair["access_token"])
    assert (answer.status_code, answer.json()["code"]) == (401, "tokenExpired")
    miro.control.clock(offset_seconds=61 * 86400)
    assert refresh(miro, pair["refresh_token"]).status_code == 401


def test_an_app_without_expiry_issues_one_token(miro: Client) -> None:
    miro.control.set_toggles(app_expires=False)
    pair = installed(miro)
    assert not {"refresh_token", "expires_in"} & set(pair)
    miro.control.clock(offset_seconds=400 * 86400)
    assert miro.rest(miro.members_path, token=pair["access_token"]).status_code == 200


def test_a_developer_team_has_no_organization(miro: Client) -> None:
    pair = installed(miro, "developer")
    context = miro.rest("/v1/oauth-token", token=pair["access_token"]).json()
    assert "organization" not in context
    assert not [scope for scope in context["scopes"] if scope.startswith("organizations:")]
    assert miro.rest(miro.members_path, token=pair["access_token"]).status_code == 403


def test_a_foreign_team_is_of_another_organization(miro: Client) -> None:
    pair = installed(miro, "foreign")
    context = miro.rest("/v1/oauth-token", token=pair["access_token"]).json()
    assert context["organization"]["id"] != miro.urls["organization_id"]
    assert miro.rest(miro.members_path, token=pair["access_token"]).status_code == 404


def test_an_ordinary_member_cannot_read_the_organization(miro: Client) -> None:
    miro.control.set_toggles(installer_role="member")
    pair = installed(miro)
    assert miro.rest(miro.members_path, token=pair["access_token"]).status_code == 403
    assert miro.rest("/v1/oauth-token", token=pair["access_token"]).status_code == 200


def test_revoking_ends_the_refresh_token_too(miro: Client) -> None:
    app = {"clientId": miro.urls["client_id"], "clientSecret": miro.urls["client_secret"]}
    address = f"{miro.urls['api_url']}/v2/oauth/revoke"
    pair = installed(miro)
    assert requests.post(address, json={**app, "accessToken": pair["access_token"]}, timeout=30).status_code == 204
    assert refresh(miro, pair["refresh_token"]).status_code == 401
    assert requests.post(address, json={**app, "accessToken": pair["access_token"]}, timeout=30).status_code == 404
    assert requests.post(address, json={**app, "clientSecret": "x"}, timeout=30).status_code == 401


def test_the_old_revocation_takes_the_token_in_the_address_and_that_is_counted(miro: Client) -> None:
    address = f"{miro.urls['api_url']}/v1/oauth/revoke"
    pair = installed(miro)
    query = {"access_token": pair["access_token"]}
    assert requests.post(address, params=query, timeout=30).status_code == 204
    assert requests.post(address, params=query, timeout=30).status_code == 400
    assert counters(miro)["secrets_in_query"] == 2
    assert pair["access_token"] not in str(miro.control.requests())


def test_all_tokens_can_expire_and_die(miro: Client) -> None:
    pair = installed(miro)
    assert miro.control.expire_tokens() == 1
    assert miro.rest(miro.members_path, token=pair["access_token"]).status_code == 401
    pair = refresh(miro, pair["refresh_token"]).json()
    assert miro.control.revoke_tokens() == 1
    assert refresh(miro, pair["refresh_token"]).status_code == 401


def test_the_date_can_be_wrong(miro: Client) -> None:
    miro.control.set_toggles(date_skew_seconds=86400)
    first = miro.rest("/v1/oauth-token").headers["Date"]
    miro.control.set_toggles(date_skew_seconds=0)
    assert first[:16] != miro.rest("/v1/oauth-token").headers["Date"][:16]


def test_grants_outlive_a_restart(make: Any, tmp_path: Any) -> None:
    first = make(20, state=tmp_path / "state")
    pair = installed(first)
    first.sandbox.stop()
    second = make(20, state=tmp_path / "state")
    assert refresh(second, pair["refresh_token"]).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost/\r\nX-Evil: 1",
        "http://localhost/\u20ac",
        "http://localhost/#part",
        "http://user:word@localhost/",
        "http://localhost:99999/",
        "http://localhost.evil.example/",
        "http://[",
        "javascript://localhost/x",
        "//localhost/",
        "",
    ],
)
def test_an_invalid_redirect_address_is_sent_nowhere(miro: Client, address: str) -> None:
    for answer in (authorize(miro, redirect_uri=address), decide(miro, redirect_uri=address)):
        assert answer.status_code == 400
        assert not {"Location", "X-Evil"} & set(answer.headers)
    with pytest.raises(ValueError):
        miro.control.install(address)
    assert counters(miro)["authorizations"] == 0


def test_the_query_of_a_redirect_address_is_kept(miro: Client) -> None:
    address = urlsplit(decide(miro, redirect_uri=BACK + "?x=1").headers["Location"])
    assert sorted(parse_qs(address.query)) == ["code", "state", "x"]


def test_an_unknown_team_is_refused(miro: Client) -> None:
    assert decide(miro, team_id="7").status_code == 400
    with pytest.raises(ValueError):
        miro.control.install(BACK, team_id="7")
    assert counters(miro)["authorizations"] == 0


def test_secrets_in_the_address_work_and_are_counted(miro: Client) -> None:
    query = {
        "grant_type": "authorization_code",
        "client_id": miro.urls["client_id"],
        "client_secret": miro.urls["client_secret"],
        "code": miro.control.install(BACK),
        "redirect_uri": BACK,
    }
    address = f"{miro.urls['api_url']}/v1/oauth/token"
    assert requests.post(address, params=query, timeout=30).status_code == 200
    assert counters(miro)["secrets_in_query"] == 1
    journal = str(miro.control.requests())
    assert query["code"] not in journal
    assert query["client_secret"] not in journal
    secret = {"client_secret": query.pop("client_secret")}
    requests.post(address, params=secret, data=query, timeout=30)
    assert counters(miro)["secrets_in_query"] == 2, "beside a form, too"
    refresh(miro, "x")
    assert counters(miro)["secrets_in_query"] == 2


@pytest.mark.parametrize("body", [b"", b"\xff\xfe=1", b'{"grant_type": "refresh_token"}'])
def test_an_unreadable_form_is_refused(miro: Client, body: bytes) -> None:
    answer = requests.post(f"{miro.urls['api_url']}/v1/oauth/token", data=body, timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (401, "oauthError")
    assert counters(miro)["secrets_in_query"] == 0


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]"])
def test_an_unreadable_revocation_is_refused(miro: Client, body: bytes) -> None:
    answer = requests.post(f"{miro.urls['api_url']}/v2/oauth/revoke", data=body, timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalidParameters")


@pytest.mark.parametrize("path,allowed", [("/oauth/authorize", "GET, POST"), ("/v1/oauth/token", "POST")])
def test_other_methods_are_not_supported(miro: Client, path: str, allowed: str) -> None:
    answer = requests.delete(miro.urls["api_url"] + path, timeout=30)
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize("kind,status", [("error_before", 500), ("rate_limited", 429)])
def test_a_refresh_that_was_not_carried_out_can_be_repeated(miro: Client, kind: str, status: int) -> None:
    pair = installed(miro)
    miro.control.fault(kind, match={"path": "/v1/oauth/token"})
    assert refresh(miro, pair["refresh_token"]).status_code == status
    assert refresh(miro, pair["refresh_token"]).status_code == 200
    assert counters(miro)["refresh_reuse"] == 0


def test_a_refresh_whose_answer_is_lost_has_ended_both_old_tokens(miro: Client) -> None:
    pair = installed(miro)
    miro.control.fault("error_after", match={"path": "/v1/oauth/token"})
    assert refresh(miro, pair["refresh_token"]).status_code == 500
    assert miro.rest(miro.members_path, token=pair["access_token"]).status_code == 401
    assert miro.control.oauth()["live_access_tokens"] == 1, "a pair that nobody has"
    assert refresh(miro, pair["refresh_token"]).status_code == 401
    assert miro.control.oauth()["live_access_tokens"] == 0
    assert counters(miro)["refresh_reuse"] == 1


def test_one_of_twenty_at_once_gets_the_new_pair(miro: Client) -> None:
    pair = installed(miro)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: refresh(miro, pair["refresh_token"]).status_code, range(20)))
    assert sorted(answers) == [200] + [401] * 19
    assert (counters(miro)["refreshes"], counters(miro)["refresh_reuse"]) == (1, 19)


def test_the_control_plane_tells_about_teams_and_living_tokens(miro: Client) -> None:
    installed(miro)
    found = miro.control.oauth()
    organizations = {team["kind"]: team["organization"] for team in found["teams"]}
    assert organizations["organization"]["id"] == miro.urls["organization_id"]
    assert organizations["foreign"]["id"] not in (None, miro.urls["organization_id"])
    assert organizations["developer"] is None
    assert found["live_access_tokens"] == 1
    miro.control.clock(offset_seconds=3700)
    assert miro.control.oauth()["live_access_tokens"] == 0
