"""Lists in tabs by state. The state is no list filter, so that the Filters button lights up for real filters only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django.db.models import Count, QuerySet
from django.http import HttpRequest
from unfold.views import ChangeList


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


class TabbedChangeList(ChangeList):
    """Takes the state out of the filters; without one in the address the admin's default tab is shown."""

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        found = super().get_filters_params(params)
        self.states = _states_in(found) or self.model_admin.default_states
        return {name: value for name, value in found.items() if not name.startswith("state_")}

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        every_state = super().get_queryset(request, exclude_parameters)
        self.counts = _counts(every_state)
        return every_state.filter(state__in=self.states)

    def get_results(self, request: HttpRequest) -> None:
        """Another tab is not a filter: only a search or a real filter hides some of the rows of this one."""
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count

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
            if (count := sum(self.counts.get(state, 0) for state in tab.states)) or not tab.hide_empty
        ]

    def _address_of(self, tab: StateTab) -> str:
        name, _, value = tab.query.partition("=")
        return str(self.get_query_string({name: value}, remove=["state_", "p"]))


def _states_in(params: dict[str, Any]) -> tuple[str, ...]:
    found = [*params.get("state__exact", []), *params.get("state__in", [])]
    return tuple(state for value in found for state in str(value).split(",") if state)


def _counts(rows: QuerySet[Any]) -> dict[str, int]:
    return dict(rows.order_by().values_list("state").annotate(Count("pk", distinct=True)))


class StateTabs:
    """Put before ModelAdmin."""

    state_tabs: ClassVar[Sequence[StateTab]] = ()
    default_states: ClassVar[tuple[str, ...]] = ()
    list_before_template = "admin/subscriptions/state_tabs.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[TabbedChangeList]:
        return TabbedChangeList
