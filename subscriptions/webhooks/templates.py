"""The body of a ticket: a template in JSON with placeholders. One for each ticket system comes with LicenseHub.

A placeholder stands inside a text. The template is read as JSON first and filled afterwards, so a value can never
change what the body is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from integrations.models import WebhookFormat

PLACE: Final = re.compile(r"\{([a-z_]*)\}")
PLACES: Final = ("title", "text", "url", "event", "event_id", "profile", "occurred_at")
MAX_TEMPLATE: Final = 20_000  # characters
MAX_DEPTH: Final = 20

# https://developer.servicenow.com/dev.do#!/reference/api/latest/rest/c_TableAPI
SERVICENOW: Final = """{
  "short_description": "{title}",
  "description": "{text}\\n\\n{url}",
  "category": "software",
  "urgency": "3",
  "impact": "3",
  "correlation_id": "{event_id}",
  "correlation_display": "LicenseHub"
}"""
# https://developer.atlassian.com/cloud/jira/platform/rest/v2/api-group-issues/#api-rest-api-2-issue-post
JIRA: Final = """{
  "fields": {
    "project": {"key": "IT"},
    "issuetype": {"name": "Task"},
    "summary": "{title}",
    "description": "{text}\\n\\n{url}",
    "labels": ["licensehub"]
  },
  "properties": [{"key": "licensehub", "value": {"event": "{event}", "event_id": "{event_id}"}}]
}"""
TEMPLATES: Final[Mapping[str, str]] = {WebhookFormat.SERVICENOW: SERVICENOW, WebhookFormat.JIRA: JIRA}
# A number of 5,000 digits, NaN, 1e999, or half of a surrogate pair.
NO_JSON: Final = gettext_noop("The template has a number or a character that JSON in UTF-8 cannot have.")


class BadTemplate(Exception):
    """The template cannot be used. The text says where it is wrong."""


def check(template: str) -> None:
    """Raise BadTemplate, with the place of the mistake."""
    filled(template, dict.fromkeys(PLACES, ""))


def filled(template: str, values: Mapping[str, str]) -> bytes:
    """The body. Raises BadTemplate."""
    found = _read(template)
    for place in _places(found):
        if place not in PLACES:
            line = template[: template.find(f"{{{place}}}")].count("\n") + 1
            raise BadTemplate(
                _("Line {line}: there is no placeholder {{{place}}}. There are: {known}.").format(
                    line=line, place=place, known=", ".join(f"{{{one}}}" for one in PLACES)
                )
            )
    try:
        return json.dumps(_filled(found, values), ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        raise BadTemplate(_(NO_JSON)) from None


def _read(template: str) -> dict[str, Any]:
    if len(template) > MAX_TEMPLATE:
        raise BadTemplate(_("The template is longer than {count} characters.").format(count=MAX_TEMPLATE))
    try:
        found = json.loads(template)
    except json.JSONDecodeError as error:
        raise BadTemplate(
            _("Line {line}, column {column}: this is not JSON. Placeholders stand inside quotation marks.").format(
                line=error.lineno, column=error.colno
            )
        ) from None
    except RecursionError:
        raise BadTemplate(_("The template is nested too deeply.")) from None
    except ValueError:
        raise BadTemplate(_(NO_JSON)) from None
    if not isinstance(found, dict):
        raise BadTemplate(_("Line 1: the template must be one object of JSON, in braces."))
    return found


def _places(value: Any, depth: int = MAX_DEPTH) -> Iterator[str]:
    """The names in braces. Raises BadTemplate for values that are nested more deeply."""
    if depth == 0:
        raise BadTemplate(_("The template is nested too deeply."))
    if isinstance(value, str):
        yield from PLACE.findall(value)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from PLACE.findall(key)
            yield from _places(part, depth - 1)
    elif isinstance(value, list):
        for part in value:
            yield from _places(part, depth - 1)


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return PLACE.sub(lambda place: values[place[1]], value)
    if isinstance(value, dict):
        return {key: _filled(part, values) for key, part in value.items()}
    return [_filled(part, values) for part in value] if isinstance(value, list) else value
