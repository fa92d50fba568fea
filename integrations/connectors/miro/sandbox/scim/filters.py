"""SCIM filters (RFC 7644, section 3.4.2.2): a text becomes a function that says whether a resource matches."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
Test = Callable[[Json], bool]

TOKEN = re.compile(r'\s*(?:(?P<paren>[()])|(?P<string>"(?:[^"\\]|\\.)*")|(?P<word>[^\s()"]+))')
ATTRIBUTES = {
    "schemas", "id", "meta", "username", "name", "displayname", "usertype", "active", "emails", "photos", "groups",
    "roles", "preferredlanguage", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user",
}  # fmt: skip
ORDERED = ("gt", "ge", "lt", "le")


class FilterError(ValueError):
    """The filter is invalid; the text says where."""


def parse(text: str) -> Test:
    parser = _Parser(_tokens(text))
    test = parser.either()
    if parser.peek() is not None:
        raise FilterError(f"unexpected {parser.peek()!r}")
    return test


def values(resource: Json, path: str) -> list[Any]:
    """All values under an attribute path, without regard to case: two addresses give two values of `emails.value`."""
    found: list[Any] = [resource]
    for name in _names(path):
        found = [item for value in found for item in _below(value, name)]
    return [value for value in found if value not in (None, "", [])]


def _names(path: str) -> list[str]:
    """The dots in the URN of `urn:...:2.0:User:department` separate no attributes."""
    lower = path.lower()
    for urn in (name for name in ATTRIBUTES if name.startswith("urn:")):
        if lower.startswith(urn):
            rest = lower[len(urn) :].strip(":.")
            return [urn, *(rest.split(".") if rest else [])]
    return lower.removeprefix("urn:ietf:params:scim:schemas:core:2.0:user:").split(".")


def _below(value: Any, name: str) -> list[Any]:
    if not isinstance(value, dict):
        return []
    found = [item for key, item in value.items() if key.lower() == name]
    return [part for item in found for part in (item if isinstance(item, list) else [item])]


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise FilterError(f"unreadable at position {position + 1}")
        tokens.append(match.group().strip())
        position = match.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._next = 0

    def peek(self) -> str | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def take(self) -> str:
        token = self.peek()
        if token is None:
            raise FilterError("it ends too early")
        self._next += 1
        return token

    def _is_word(self, word: str) -> bool:
        return (self.peek() or "").lower() == word

    def either(self) -> Test:
        left = self._both()
        while self._is_word("or"):
            self.take()
            left = _or(left, self._both())
        return left

    def _both(self) -> Test:
        left = self._one()
        while self._is_word("and"):
            self.take()
            left = _and(left, self._one())
        return left

    def _one(self) -> Test:
        if self._is_word("not"):
            self.take()
            return _not(self._group())
        return self._group() if self.peek() == "(" else self._comparison()

    def _group(self) -> Test:
        if self.take() != "(":
            raise FilterError("a parenthesis is missing")
        inner = self.either()
        if self.take() != ")":
            raise FilterError("a parenthesis is not closed")
        return inner

    def _comparison(self) -> Test:
        path = self.take()
        if _names(path)[0] not in ATTRIBUTES:
            raise FilterError(f"a User has no attribute {path!r}")
        operator = self.take().lower()
        if operator == "pr":
            return lambda resource: bool(values(resource, path))
        return _compare(path, operator, _literal(self.take()))


def _or(left: Test, right: Test) -> Test:
    return lambda resource: left(resource) or right(resource)


def _and(left: Test, right: Test) -> Test:
    return lambda resource: left(resource) and right(resource)


def _not(inner: Test) -> Test:
    return lambda resource: not inner(resource)


def _literal(token: str) -> Any:
    try:
        return json.loads(token)
    except ValueError as error:
        raise FilterError(f"{token!r} is not a value; put text in double quotes") from error


def _compare(path: str, operator: str, wanted: Any) -> Test:
    if operator in ORDERED and isinstance(wanted, bool):
        raise FilterError(f"{operator} does not go with true or false")
    check = _OPERATORS.get(operator)
    if check is None:
        raise FilterError(f"{operator!r} is not an operator")
    plain = _plain(wanted)
    if operator == "ne":
        return lambda resource: all(_plain(value) != plain for value in values(resource, path))
    return lambda resource: any(check(_plain(value), plain) for value in values(resource, path))


def _plain(value: Any) -> str:
    """Comparison ignores case, and `active eq "true"` is accepted."""
    return str(value).casefold()


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "eq": lambda have, want: have == want,
    "ne": lambda have, want: have != want,
    "co": lambda have, want: want in have,
    "sw": lambda have, want: have.startswith(want),
    "ew": lambda have, want: have.endswith(want),
    "gt": lambda have, want: have > want,
    "ge": lambda have, want: have >= want,
    "lt": lambda have, want: have < want,
    "le": lambda have, want: have <= want,
}
