"""The page on which a person installs the app on a team."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from integrations.connectors.miro.sandbox.messages import Answer, Json
from integrations.connectors.miro.sandbox.state.world import World

CARRIED = ("response_type", "client_id", "redirect_uri", "state")
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 16px/24px system-ui, sans-serif; background: #f2f4fc; color: #1a1b1e; margin: 0; padding: 24px; }}
main {{ max-width: 480px; margin: 5vh auto; background: #fff; border-radius: 12px; padding: 32px; }}
h1 {{ font-size: 22px; margin: 0 0 8px; }}
small, p {{ color: #5a5d66; }}
label {{ display: flex; gap: 12px; padding: 10px 0; border-bottom: 1px solid #e6e8f0; }}
label span {{ display: flex; flex-direction: column; }}
code {{ font-size: 13px; }}
button {{ font: inherit; padding: 8px 16px; border-radius: 8px; border: 1px solid #c7cad5; background: #fff; }}
button.main {{ background: #3859ff; border-color: #3859ff; color: #fff; }}
footer {{ display: flex; gap: 12px; margin-top: 24px; }}
</style></head><body><main>{body}</main></body></html>
"""


def consent_page(world: World, query: Mapping[str, str]) -> Answer:
    """The teams that the person can choose, including those that LicenseHub must refuse."""
    teams = world.install_teams()
    chosen = query.get("team_id") if query.get("team_id") in teams else next(iter(teams))
    hidden = "".join(
        f'<input type="hidden" name="{name}" value="{escape(query[name])}">' for name in CARRIED if name in query
    )
    scopes = ", ".join(f"<code>{escape(scope)}</code>" for scope in world.toggles.scopes)
    choices = "".join(_choice(key, team, checked=key == chosen) for key, team in teams.items())
    body = f"""<h1>Install &amp; authorize LicenseHub</h1>
<p>This is the sandbox, not Miro. The app asks for {scopes}.</p>
<form method="post" action="/oauth/authorize">{hidden}
<p>Pick a team</p>{choices}
<footer><button class="main" name="decision" value="install">Install &amp; authorize</button>
<button name="decision" value="cancel">Cancel</button></footer></form>"""
    return _page(200, "Install & authorize", body)


def _choice(key: str, team: Json, *, checked: bool) -> str:
    mark = " checked" if checked else ""
    return (
        f'<label><input type="radio" name="team_id" value="{escape(key)}"{mark}>'
        f"<span>{escape(team['name'])}<small>{escape(team['about'])}</small></span></label>"
    )


def problem_page(problem: str) -> Answer:
    """An error page: for a wrong client or address the browser is not redirected."""
    return _page(400, "This app cannot be installed", f"<h1>This app cannot be installed</h1><p>{escape(problem)}</p>")


def _page(status: int, title: str, body: str) -> Answer:
    raw = PAGE.format(title=escape(title), body=body).encode()
    return Answer(status, raw=raw, content_type="text/html; charset=utf-8")
