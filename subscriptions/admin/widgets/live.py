"""Pages that update themselves: a part asks again (static/licensehub/live.js), until nothing changes any more.

The page says what to do without a script. An answer takes few queries, since many people may look at once.
"""

from __future__ import annotations

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse


def address(url: str, state: str) -> str:
    """The address that is asked whether this state has changed since the page was made."""
    return f"{url}?{urlencode({'was': state})}"


def reload_if_changed(request: HttpRequest, state: str) -> HttpResponse:
    """The answer to `address`: nothing while the state is the same, else the browser reloads the page."""
    same = request.GET.get("was", "") == state
    return HttpResponse(status=204, headers={} if same else {"HX-Refresh": "true"})
