"""The position of a page in its list: `51-100 of 1,240 events`.

Pages are read by key, so no page knows its number. The rows before it are counted if that costs no more than counting
the list did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from licensehub.ui.formatting import number
from licensehub.ui.lists import counts
from licensehub.ui.lists.paging import keyset

if TYPE_CHECKING:
    from licensehub.ui.lists.changelist import PagedChangeList


def sentence(cl: PagedChangeList) -> str:
    """The rows of this page, and how many the list has."""
    shown, count = len(cl.result_list), cl.counted
    admin = cl.model_admin
    many = admin.rows_name or cl.opts.verbose_name_plural
    names = cl.opts.verbose_name if count.exact and count.number == 1 else many
    given = {"shown": number(shown), "count": count.words, "names": names}
    if not cl.multi_page or not shown:
        return _("{count} {names}").format(**given)
    start = first_number(cl)
    if start is not None:
        span = f"{number(start)}–{number(start + shown - 1)}" if shown > 1 else number(start)
        return _("{span} of {count} {names}").format(span=span, **given)
    if not cl.page.has_next:
        return _("the last {shown} of {count} {names}").format(**given)
    beyond = number(_most(cl))
    return _("{shown} after the first {beyond} of {count} {names}").format(beyond=beyond, **given)


def first_number(cl: PagedChangeList) -> int | None:
    """The number of the first row of this page in the list; None where it is not known."""
    if not cl.page.has_previous:
        return 1
    if not cl.page.has_next:
        # Where the list was not counted to its end, more rows come before its last page than are counted here.
        return max(1, cl.counted.number - len(cl.result_list) + 1) if cl.counted.exact else None
    if cl.found and cl.found.are_all:
        return next((place for place, (pk, *_others) in enumerate(cl.found.rows, 1) if pk == cl.page.keys[0]), None)
    most = _most(cl)
    before = keyset.count_before(cl.queryset, cl.order, cl.order.place_of(cl.result_list[0]), most=most)
    return before + 1 if before <= most else None


def _most(cl: PagedChangeList) -> int:
    """Rows before a page are counted up to this number. Under filters, a walk to a far row may read the whole table."""
    return counts.STOP if cl.counted.exact or not cl.queryset.query.where else counts.EXACT_UP_TO
