"""The number of free licenses, shown before the button of a restore."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import IntegrationProfile
from licensehub.ui.formatting import ago, number
from subscriptions.admin.widgets.evidence import license_label
from subscriptions.models import DownloadRun
from subscriptions.reclaims.restores import FreeLicenses, free_licenses


def free_context(profile: IntegrationProfile, needed: Mapping[str, int]) -> dict[str, Any]:
    """The context of `free_licenses.html`: a sentence for each license type, and whether there are too few."""
    run = DownloadRun.objects.complete().filter(profile=profile).first()
    found = free_licenses(profile, needed)
    return {
        "free_licenses": [_sentence(profile, one) for one in found],
        "too_few_licenses": not all(one.suffices for one in found),
        "no_free_license": profile.texts.no_free_license,
        "licenses_counted": ago(run.finished_at) if run else "",
    }


def _sentence(profile: IntegrationProfile, one: FreeLicenses) -> str:
    """`0 of 214 Full are free now.`, with the number that the restore needs if that is more than one."""
    label = license_label(profile, one.license)
    if one.bought is None or one.free is None:
        return _("How many {label} licenses are free is not known: {vendor} does not say how many were bought.").format(
            label=label, vendor=profile.vendor
        )
    sentences = [
        ngettext(
            "{free} of {bought} {label} is free now.", "{free} of {bought} {label} are free now.", one.free
        ).format(free=number(one.free), bought=number(one.bought), label=label)
    ]
    if one.held > one.bought:
        sentences.append(_("{held} are in use.").format(held=number(one.held)))
    if one.needed > 1:
        sentences.append(_("This restore needs {needed}.").format(needed=number(one.needed)))
    return " ".join(sentences)
