"""Long evidence packs: a worker makes them, and the file is kept for some hours for the account that asked.

The file is in the database, since the hosts may share no folder. It is removed when its time is over, and when a
person is erased. What comes out of the database is compared with its signed manifest before somebody gets it.
"""

from __future__ import annotations

import json
import uuid
import zlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any, Final
from zipfile import BadZipFile

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from integrations.connectors.contract import english
from integrations.scopes import account_scopes
from integrations.scopes.visibility import seen_by
from licensehub.audit.actions import Action
from licensehub.audit.chain import offline_verifier
from subscriptions.accounts.scope import profiles_in, text_of
from subscriptions.errors import NotActionable, Refused
from subscriptions.evidence.extract import keys_of_this_installation
from subscriptions.evidence.pack import Pack, PackChanged, manifest_of, may_have_packs, note, write_pack
from subscriptions.evidence.scope import Scope, scope_of_period, scope_of_person, scope_of_request
from subscriptions.models import EvidencePack, EvidencePackPart, PackState, ReclaimRequest

# A worker that takes longer was killed, and another one may start.
MAX_SECONDS: Final = 900
LEASE: Final = timedelta(seconds=MAX_SECONDS + 120)
MAX_TRIES: Final = 3
# For one account at a time.
MAX_WAITING: Final = 5
PART: Final = 512 * 1024  # bytes
MAX_SIZE: Final = 512 * 1024 * 1024
# What reading a file raises that is no zip, or that is damaged.
_UNREADABLE: Final = (
    *(offline_verifier.Unusable, BadZipFile, zlib.error, OSError, EOFError, RuntimeError),
    *(KeyError, ValueError, NotImplementedError),
)
UNDER_WAY: Final = (PackState.WAITING, PackState.MAKING)

TOO_LONG: Final = english(
    "The pack took longer than {minutes} minutes. Ask an operator to make it with manage.py evidence_pack."
).format(minutes=MAX_SECONDS // 60)
TOO_LARGE: Final = english(
    "The pack has more than {megabytes} MB. Ask an operator to make it with manage.py evidence_pack."
).format(megabytes=MAX_SIZE // 1024 // 1024)
NOT_MADE: Final = english(
    "LicenseHub tried to make the pack {tries} times, and did not finish. Ask an operator to make it with manage.py "
    "evidence_pack."
).format(tries=MAX_TRIES)
NO_RIGHT: Final = english("The account may not have this evidence pack any more.")
CHANGED: Final = english(
    "The stored file is not the one that LicenseHub made: somebody changed it in the database. Ask for the pack again."
)


def ask_for_pack(scope: Scope, *, language: str, actor: User) -> EvidencePack:
    """Note that somebody asks for a pack, before a worker is asked to make it. Raises Refused.

    Many clicks ask for one pack.
    """
    with transaction.atomic():
        User.objects.select_for_update().get(pk=actor.pk)
        under_way = EvidencePack.objects.filter(asked_by=actor, state__in=UNDER_WAY)
        about = _about(scope)
        if same := under_way.filter(**about, language=language).first():
            return same
        if under_way.count() >= MAX_WAITING:
            raise Refused(_("LicenseHub is still making other packs for you. Wait until one of them is ready."))
        return EvidencePack.objects.create(asked_by=actor, language=language, **about)


def _about(scope: Scope) -> dict[str, Any]:
    first, last = scope.days or (None, None)
    is_request = isinstance(scope.target, ReclaimRequest)
    request, person = (scope.target, None) if is_request else (None, scope.target)
    about = {"request": request, "subscription": person, "first": first, "last": last}
    return {**about, "profiles": text_of(scope.profiles)}


def scope_of(pack: EvidencePack) -> Scope:
    with seen_by(lambda: profiles_in(pack.profiles)):
        if pack.request:
            return scope_of_request(pack.request)
        if pack.subscription:
            return scope_of_person(pack.subscription)
        if pack.first is None or pack.last is None:
            raise ValueError(f"{pack} is about nothing")
        return scope_of_period(pack.first, pack.last)


def packs_of(user: User, **which: int) -> Iterator[EvidencePack]:
    """The packs that this account asked for and may still have, the newest first."""
    asked = EvidencePack.objects.filter(asked_by=user, **which).select_related("request", "subscription__profile")
    return (pack for pack in asked if is_for(pack, user))


def is_for(pack: EvidencePack, user: User) -> bool:
    """Whether the roles of this account hold for all profiles of the pack."""
    own, needed = account_scopes.scope_of(user), profiles_in(pack.profiles)
    return own is None or (needed is not None and needed <= own)


# --- Make -------------------------------------------------------------------------------------------------------------


def packs_to_make() -> list[int]:
    """The oldest pack that nobody makes; empty while one is being made. Packs must not hold up the sends."""
    if EvidencePack.objects.filter(state=PackState.MAKING, lease_until__gt=Now()).exists():
        return []
    return list(_free().order_by("pk").values_list("pk", flat=True)[:1])


def _free() -> QuerySet[EvidencePack]:
    abandoned = Q(state=PackState.MAKING, lease_until__lte=Now())
    return EvidencePack.objects.filter(Q(state=PackState.WAITING) | abandoned)


def make_asked(pk: int) -> None:
    """Make the pack that somebody asked for, if nobody makes it. It may be called twice."""
    if pk not in packs_to_make():
        return
    token = uuid.uuid4()
    claimed = {"state": PackState.MAKING, "token": token, "lease_until": Now() + LEASE, "tries": F("tries") + 1}
    if _free().filter(pk=pk).update(**claimed) != 1:
        return
    pack = EvidencePack.objects.select_related("asked_by", "request", "subscription__profile").get(pk=pk)
    if pack.tries > MAX_TRIES:
        _give_up(pack, NOT_MADE)
    elif not (may_have_packs(pack.asked_by) and is_for(pack, pack.asked_by)):
        _give_up(pack, NO_RIGHT)
    else:
        _make(pack)


def _make(pack: EvidencePack) -> None:
    scope = scope_of(pack)
    with NamedTemporaryFile() as file:
        try:
            made = write_pack(scope, file, language=pack.language)
        except PackChanged as changed:
            if pack.tries < MAX_TRIES:
                _mine(pack).update(state=PackState.WAITING, token=None, lease_until=None)
            else:
                _give_up(pack, str(changed))
            return
        size = file.tell()
        if size > MAX_SIZE:
            _give_up(pack, TOO_LARGE)
            return
        file.seek(0)
        _store(pack, scope, made, file, size)


def _store(pack: EvidencePack, scope: Scope, made: Pack, file: IO[bytes], size: int) -> None:
    """Keep the file, and record that it was made. Another process may have taken over meanwhile."""
    ready: dict[str, Any] = {
        "state": PackState.READY,
        "token": None,
        "lease_until": None,
        "size": size,
        "as_of": made.as_of,
    }
    ready |= {
        "name": made.name,
        "digest": made.digest,
        "ends_at": Now() + timedelta(hours=settings.EVIDENCE_PACK_HOURS),
    }
    with transaction.atomic():
        if _mine(pack).update(**ready) != 1:
            return
        for number, data in enumerate(iter(lambda: file.read(PART), b"")):
            EvidencePackPart.objects.create(pack=pack, number=number, data=data)
        note(Action.EVIDENCE_PACK_MADE, scope, made, actor=pack.asked_by)


def took_too_long(pk: int) -> None:
    """The limit of the task has ended the work on this pack."""
    pack = EvidencePack.objects.get(pk=pk)
    if pack.state == PackState.MAKING:
        _give_up(pack, TOO_LONG)


def _mine(pack: EvidencePack) -> QuerySet[EvidencePack]:
    return EvidencePack.objects.filter(pk=pack.pk, state=PackState.MAKING, token=pack.token)


def _give_up(pack: EvidencePack, problem: str) -> None:
    _mine(pack).update(state=PackState.FAILED, problem=problem, token=None, lease_until=None)


# --- Hand out ---------------------------------------------------------------------------------------------------------


def note_download(pack: EvidencePack, *, actor: User) -> None:
    """Record that the account that asked gets the file. Raises NotActionable if it was removed meanwhile."""
    with transaction.atomic():
        if not EvidencePack.objects.filter(pk=pack.pk, asked_by=actor, **_KEPT).exists():
            raise NotActionable(_("The file was removed. Ask for the pack again."))
        made = Pack(pack.name, pack.digest, pack.as_of, pack.language)
        note(Action.EVIDENCE_PACK_DOWNLOADED, scope_of(pack), made, actor=actor)


_KEPT: Final = {"state": PackState.READY, "ends_at__gt": Now()}


def kept_file(pack: EvidencePack) -> IO[bytes]:
    """The open file of a pack, compared with its manifest. Raises Refused."""
    file = NamedTemporaryFile()  # noqa: SIM115 - whoever sends it closes it
    parts = EvidencePackPart.objects.filter(pack=pack, pack__in=EvidencePack.objects.filter(**_KEPT))
    for number in parts.order_by("number").values_list("number", flat=True):
        file.write(parts.values_list("data", flat=True).get(number=number))
    file.flush()
    if not _is_ours(pack, Path(file.name)):
        file.close()
        refused = {"state": PackState.FAILED, "problem": CHANGED}
        if EvidencePack.objects.filter(pk=pack.pk, **_KEPT).update(**refused):
            EvidencePackPart.objects.filter(pack=pack).delete()
        raise Refused(CHANGED)
    file.seek(0)
    return file


def _is_ours(pack: EvidencePack, path: Path) -> bool:
    """Whether it is the pack of this subject, with the files of a manifest that one of our keys has signed."""
    keys = {key_id: key.public_bytes_raw() for key_id, key in keys_of_this_installation().public.items()}
    try:
        files = offline_verifier.Pack(path)
        report = offline_verifier.check_manifest(files, keys, own_keys=bool(keys))
        manifest = json.loads(files.read(offline_verifier.MANIFEST_FILE))
    except _UNREADABLE:
        return False
    meant = manifest_of(scope_of(pack), pack.language, pack.as_of)
    return report is not None and not report.findings and {**manifest, **meant} == manifest


# --- Remove -----------------------------------------------------------------------------------------------------------


def remove_due() -> int:
    """Remove the files whose time is over. Returns how many."""
    return remove_files(EvidencePack.objects.filter(state=PackState.READY, ends_at__lte=Now()))


def remove_files(packs: QuerySet[EvidencePack]) -> int:
    """Remove the files of these packs. The rows stay: they name nobody."""
    with transaction.atomic():
        removed = packs.filter(state=PackState.READY).update(state=PackState.REMOVED)
        if removed:
            EvidencePackPart.objects.exclude(pack__state=PackState.READY).delete()
    return removed
