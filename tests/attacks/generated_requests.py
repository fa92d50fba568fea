"""Requests with odd values: every address of the resolver, each role, and each parameter that our code reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.http import urlencode

ROLES = ("", "stranger", "Company admin", "License manager", "Approver", "Auditor", "Operator", "superuser")
READ = re.compile(r'(?:GET|POST|sent|given|params)(?:\.get(?:list)?\(|\[)\s*"([\w-]+)"')
PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")

ODD = (
    "",
    "\x00",
    "a\x00b",
    "%00",
    "\ud800",
    "\udfff text",
    "\u202eevil\u202c",
    "\u200b",
    "\ufeff",
    "0",
    "-1",
    "1",
    "１２",
    "²",
    "٣",
    "1e9",
    "NaN",
    "Infinity",
    "9" * 18,
    "9" * 19,
    "9" * 40,
    "9" * 5000,
    "0x10",
    "1.5",
    "1,2,3",
    "true",
    "on",
    "None",
    "null",
    "a" * 300,
    "ß" * 3000,
    "\U0001f600" * 100,
    "' OR 1=1 --",
    "\\",
    "%",
    "%%",
    "_",
    "{}",
    "{0}",
    "{name.__class__}",
    "[]",
    '{"a": [1, {"b": null}]}',
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "//evil.example/",
    "https://evil.example/",
    "javascript:alert(1)",
    "2026-11-28",
    "0000-00-00",
    "9999-12-31",
    "10000-01-01",
    "2026-02-30",
    "25:61",
    "23:59",
    "-after-",
    "after-",
    "before-eyJ",
    "last",
    "2",
    "0.0",
    "a.b.c",
    "a__b__c",
    "ready",
    "open",
    "profile__name",
    "*/1 * * * *",
    "\r\nSet-Cookie: a=b",
    "\t",
    " ",
)
# Parts of Django's lookups that a person may write into an address.
LOOKUPS = ("exact", "in", "isnull", "gte", "lt", "year", "contains", "regex", "foo", "id__exact")
COMMON = ("q", "o", "p", "e", "all", "next", "_facets", "_popup", "_to_field", "columns", "view", "action", "_save")
HEADERS = {
    "HTTP_ACCEPT_LANGUAGE": ("de", "x" * 600, "de;q=\x00", "*", "de;q=9"),
    "HTTP_COOKIE": (
        "sessionid=\x00",
        'sessionid="\\000"',
        "csrftoken=" + "x" * 500,
        "time_zone=..%2f",
        "=;=;",
        "\ud800",
    ),
    "HTTP_X_FORWARDED_PROTO": ("https", "\x00"),
    "HTTP_HOST": ("testserver:1", "testserver:99999", "testserver"),
    "HTTP_REFERER": ("https://evil.example/", "\x00"),
    "HTTP_X_REQUESTED_WITH": ("XMLHttpRequest",),
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """One request. `sent` is None for a GET; a text is JSON."""

    role: str
    path: str
    query: str
    sent: dict[str, Any] | str | None
    headers: dict[str, Any]


class Generator:
    """Makes requests. The same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - no secret
        self.routes = sorted(set(routes(get_resolver().url_patterns)))
        self.parameters = parameters()
        self.ids = self._ids()

    def _ids(self) -> dict[str, list[str]]:
        """The ids of the rows that are there, by the name of their model."""
        return {
            model._meta.model_name or "": [str(pk) for pk in model._default_manager.values_list("pk", flat=True)[:5]]
            for model in apps.get_models()
        }

    def next(self, number: int) -> Wanted:
        """The request of this number: each role sees each address, again and again."""
        role = ROLES[number % len(ROLES)]
        route = self.routes[number // len(ROLES) % len(self.routes)]
        sent: dict[str, Any] | str | None = None
        chosen = self.random.random()
        if chosen > 0.65:
            sent = {name: self.value() for name in self.names()}
        elif chosen > 0.62:
            sent = self.random.choice(('{"a": "\\u0000"}', '{"a": "\\ud800"}', "{", "[" * 5000, "null", '"x"'))
        headers: dict[str, Any] = {}
        if self.random.random() < 0.2:
            header = self.random.choice(sorted(HEADERS))
            headers[header] = self.random.choice(HEADERS[header])
        query = urlencode([(name, _encodable(self.value())) for name in self.names()])
        if self.random.random() < 0.05:
            query += "&q=%ED%A0%80&x=%FF&=&&y"
        return Wanted(role, self.path(route), query, sent, headers)

    def names(self) -> list[str]:
        return self.random.sample(self.parameters, self.random.choice((0, 1, 1, 2, 4)))

    def value(self) -> str:
        if self.random.random() < 0.3:
            known = self.ids[self.random.choice(sorted(self.ids))]
            if known:
                return self.random.choice(known)
        return self.random.choice(ODD)

    def path(self, route: str) -> str:
        """The route with a value for each parameter; mostly one that exists."""
        owner = next((name for name in sorted(self.ids, key=len, reverse=True) if name and f"/{name}/" in route), "")

        def filled(found: re.Match[str]) -> str:
            known = self.ids.get(owner, [])
            if known and self.random.random() < 0.7:
                return self.random.choice(known)
            return _encodable(self.value())

        return "/" + PARAMETER.sub(filled, route)


def _encodable(text: str) -> str:
    """A lone surrogate cannot stand in an address; its bytes can, and a server reads them as unknown characters."""
    return text.encode("utf-8", "replace").decode()


def routes(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    """All addresses of the resolver as routes, e.g. `admin/auth/user/<path:object_id>/change/`."""
    for pattern in patterns:
        route = before + _plain(str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, route)
        else:
            yield route


def _plain(route: str) -> str:
    """A regular expression as a route."""
    route = re.sub(r"\(\?P<(\w+)>.*?\)", r"<\1>", route)
    route = re.sub(r"\(\?:(\w+)\|[^)]*\)", r"\1", route)
    return route.removeprefix("^").removesuffix("$").removesuffix("\\Z").replace("\\", "")


def parameters() -> list[str]:
    """The names of parameters that our code reads, and those of the filters of all lists with lookups."""
    found = set(COMMON)
    for package in ("licensehub", "integrations", "subscriptions"):
        for path in Path(settings.BASE_DIR, package).rglob("*.py"):
            found |= set(READ.findall(path.read_text()))
    for model, its in admin.site._registry.items():
        filters = [item if isinstance(item, str) else getattr(item, "parameter_name", "") for item in its.list_filter]
        fields = [field.name for field in model._meta.get_fields()]
        found |= {name for name in filters if name}
        found |= {f"{name}__{lookup}" for name in {*filters, *fields[:6]} if name for lookup in LOOKUPS}
    return sorted(found)
