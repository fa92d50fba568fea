"""Lists in tabs by state. The state is no list filter, so that the Filters button lights up for real filters only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpRequest

from licensehub.ui.admin import LargeTableMixin
from licensehub.ui.lists.changelist import PagedChangeList
from licensehub.ui.lists.counts import Count, capped_each
from licensehub.ui.lists.search_results import Matches, fetch_matches


@dataclass(frozen=True, slots=True)
class StateTab:
    label: str
    states: tuple[str, ...]
    # A tab that most never need shows only while something is in it.
    hide_empty: bool = False

    @property
    def query(self) -> str:
        if len(self.states) == 1:
            return f"state__exact={self.states[0]}"
        return f"state__in={','.join(self.states)}"


class TabbedChangeList(PagedChangeList):
    """Takes the state out of the filters; without one in the address the admin's default tab is shown."""

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        found = super().get_filters_params(params)
        self.states = _states_in(found) or self.model_admin.default_states
        return {name: value for name, value in found.items() if not name.startswith("state_")}

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """What a search finds is looked for once, for all tabs."""
        every_state = super().get_queryset(request, exclude_parameters)
        self.found = fetch_matches(every_state, self.order, "state") if self.query else None
        self.counts = self._each(every_state)
        return every_state.filter(state__in=self.states)

    def _search(self) -> None:
        """Done, for all tabs."""

    def _each(self, every_state: QuerySet[Any]) -> dict[str, Count]:
        states = sorted({state for tab in self.model_admin.state_tabs for state in tab.states})
        if self.found is None:
            return capped_each({state: every_state.filter(state=state) for state in states})
        found = Counter(state for _, state in self.found.rows)
        return {state: Count(found[state], exact=self.found.are_all) for state in states}

    def _keys(self, found: Matches) -> list[Any]:
        return [pk for pk, state in found.rows if state in self.states]

    def _count(self) -> Count:
        """The tab has counted already."""
        return self._in(self.states)

    def _in(self, states: tuple[str, ...]) -> Count:
        """Nobody is in a state that no tab has."""
        return sum((self.counts.get(state, Count(0)) for state in states), Count(0))

    @property
    def tabs(self) -> list[dict[str, Any]]:
        """For the template: label, count, address (search and filters kept), and which one is shown."""
        return [
            {
                "label": tab.label,
                "count": count,
                "selected": set(tab.states) == set(self.states),
                "url": self._address_of(tab),
            }
            for tab in self.model_admin.state_tabs
            if (count := self._in(tab.states)) or not tab.hide_empty
        ]

    def _address_of(self, tab: StateTab) -> str:
        name, _, value = tab.query.partition("=")
        return str(self.get_query_string({name: value}, remove=["state_", "p"]))


def _states_in(params: dict[str, Any]) -> tuple[str, ...]:
    found = [*params.get("state__exact", []), *params.get("state__in", [])]
    return tuple(state for value in found for state in str(value).split(",") if state)


class StateTabs(LargeTableMixin):
    """Put before ModelAdmin."""

    state_tabs: ClassVar[Sequence[StateTab]] = ()
    default_states: ClassVar[tuple[str, ...]] = ()
    list_before_template = "admin/state_tabs.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[TabbedChangeList]:
        return TabbedChangeList
