"""The banner on every admin page while sending is stopped (only restores are sent) or held (nothing is sent)."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import RequestContext
from django.urls import reverse

from integrations import sending
from integrations.connectors.registry import vendor_texts
from licensehub.ui.formatting import ago, day_and_time

register = template.Library()


@register.inclusion_tag("admin/sending_banner.html", takes_context=True)
def sending_banner(context: RequestContext) -> dict[str, Any]:
    """Empty before the sign-in, and on the page of the switch itself."""
    request = context.get("request")
    address = reverse("admin:integrations_sendingcontrol_changelist")
    if request is None or not request.user.is_authenticated or request.path == address:
        return {}
    control = sending.control()
    return {
        "control": control,
        "vendor": vendor_texts().vendor,
        "link": address if request.user.has_perm("integrations.view_integrationprofile") else "",
        "stopped": f"{day_and_time(control.stopped_at)} ({ago(control.stopped_at)})",
        "held": f"{day_and_time(control.held_at)} ({ago(control.held_at)})",
    }
