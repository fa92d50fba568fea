"""Lists in tabs by state. The state is no list filter, so the Filters button lights up for real filters only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise

from licensehub.ui.admin import LargeTableMixin
from licensehub.ui.lists.changelist import PagedChangeList
from licensehub.ui.lists.counts import Count, capped_by
from licensehub.ui.lists.search_results import Matches, fetch_matches


@dataclass(frozen=True, slots=True)
class StateTab:
    label: str | Promise
    states: tuple[str, ...]
    # Shows the tab only while it has rows, because most users never need it.
    hide_empty: bool = False


class TabbedChangeList(PagedChangeList):
    """Takes the state out of the filters. Without a state in the address, it shows the admin's default tab."""

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        found = super().get_filters_params(params)
        listed = [*found.get("state__exact", []), *found.get("state__in", [])]
        chosen = tuple(state for states in listed for state in str(states).split(",") if state)
        self.states = chosen or self.model_admin.default_states
        return {name: value for name, value in found.items() if not name.startswith("state_")}

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        """Searches and counts once, for all tabs."""
        every_state = super().get_queryset(request, exclude_parameters)
        self.found_in_tabs = fetch_matches(every_state, self.order, "state") if self.query else None
        self.counts = self._counts_by_state(every_state)
        return self.in_tab(every_state)

    def in_tab(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(state__in=self.states)

    def _counts_by_state(self, every_state: QuerySet[Any]) -> dict[str, Count]:
        states = sorted({state for tab in self.model_admin.state_tabs for state in tab.states})
        if self.found_in_tabs is None:
            return capped_by("state", states, every_state)
        found = Counter(state for _, state in self.found_in_tabs.rows)
        return {state: Count(found[state], exact=self.found_in_tabs.are_all) for state in states}

    def matches(self) -> Matches | None:
        """The rows of the shown tab; get_queryset() has searched all tabs."""
        if self.found_in_tabs is None:
            return None
        shown = [row for row in self.found_in_tabs.rows if row[1] in self.states]
        return Matches(shown, self.found_in_tabs.are_all)

    def count(self) -> Count:
        return self._count_in(self.states)

    def _count_in(self, states: tuple[str, ...]) -> Count:
        """A state that is in no tab, e.g. from an edited address, has no rows."""
        return sum((self.counts.get(state, Count(0)) for state in states), Count(0))

    @property
    def tabs(self) -> list[dict[str, Any]]:
        """For the template: label, count, address (with search and filters), and whether the tab is shown."""
        return [
            {
                "label": str(tab.label),
                "count": count,
                "selected": set(tab.states) == set(self.states),
                "url": self._address_of(tab),
            }
            for tab in self.model_admin.state_tabs
            if (count := self._count_in(tab.states)) or not tab.hide_empty
        ]

    def _address_of(self, tab: StateTab) -> str:
        name = "state__exact" if len(tab.states) == 1 else "state__in"
        return str(self.get_query_string({name: ",".join(tab.states)}, remove=["state_"]))


class StateTabs(LargeTableMixin):
    """Put before ModelAdmin."""

    state_tabs: ClassVar[Sequence[StateTab]] = ()
    default_states: ClassVar[tuple[str, ...]] = ()
    list_before_template = "admin/state_tabs.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[TabbedChangeList]:
        return TabbedChangeList
