"""Makes an organization: the same people for the same seed, with dates relative to the first start of the sandbox."""

from __future__ import annotations

import hashlib
import random
import string
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from integrations.connectors.miro.sandbox.messages import Json
from integrations.connectors.miro.sandbox.state.names import CULTURES, DEPARTMENTS, DIVISIONS, LATIN, TEAMS

LICENSES = (
    "full", "free", "free_restricted", "occasional", "standard", "advanced", "basic", "full_trial", "unknown",
)  # fmt: skip
LICENSE_WEIGHTS = (80, 4, 7, 4, 2, 1, 1, 0.5, 0.5)
ADMIN, USER = "organization_internal_admin", "organization_internal_user"
EXTERNAL, GUEST, UNKNOWN = "organization_external_user", "organization_team_guest_user", "unknown"
INTERNAL = frozenset({ADMIN, USER})
ROLES = (ADMIN, USER, EXTERNAL, GUEST, UNKNOWN)
VARIED_FROM = 40  # from this many people on, every license and every role occurs
LARGE_FROM = 300  # from this many people on, somebody inactive has an admin role
FIRST_ID = 3_458_764_500_000_000_000  # ids of Miro have 19 digits, beyond what a double holds exactly


@dataclass(slots=True)
class Member:
    """One person of the organization. Dates are stored as Miro writes them, since it has two formats."""

    id: str
    email: str
    active: bool
    license: str
    role: str
    last_activity_at: str | None
    license_assigned_at: str | None
    given: str
    family: str
    display_name: str
    department: str = ""
    cost_center: str = ""
    division: str = ""
    employee_number: str = ""
    manager: str = ""  # the id of the manager
    # Replaces attributes of the SCIM resource, as one server or another sends them; "absent" leaves one out.
    scim: dict[str, Any] = field(default_factory=dict)
    admin_roles: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Team:
    """A team and its people: member id -> admin, member or non_team."""

    id: str
    name: str
    roles: dict[str, str]


@dataclass(frozen=True, slots=True)
class Population:
    organization: dict[str, Any]
    members: list[Member]
    teams: list[Team]
    secrets: dict[str, str]


def populate(count: int, seed: int, now: datetime) -> Population:
    rng = _random(seed, count)
    kinds = _kinds(count, rng)
    members = _people(kinds, rng, now)
    return Population(
        _organization(members, seed), members, _teams(list(zip(kinds, members, strict=True)), rng), _secrets(seed)
    )


def iso(moment: datetime, *, whole: bool = False) -> str:
    """A date as Miro writes it: 2024-04-11T15:04:04.088Z, and for some records without the fraction."""
    form = "seconds" if whole else "milliseconds"
    return moment.replace(tzinfo=None).isoformat(timespec=form) + "Z"


def _random(seed: int, count: int) -> random.Random:
    return random.Random(f"{seed}:{count}")  # noqa: S311 - made-up people, the same for a seed; no secret


def _kinds(count: int, rng: random.Random) -> list[str]:
    """The kind of each person, in the shares of a large organization; exactly `count` kinds."""
    wanted = (
        ("admin", max(min(2, count // 10), min(6, count // 100 + 1), 1)),
        ("inactive", max(int(count * 0.225), int(count >= 3))),
        ("never", max(int(count * 0.05), int(count >= 5))),
        ("guest", max(int(count * 0.03), int(count >= 10) + int(count >= VARIED_FROM))),
        ("deactivated", max(int(count * 0.04), int(count >= 10))),
        ("quiet", int(count * 0.045)),
    )
    kinds = [kind for kind, number in wanted for _ in range(number)][:count]
    kinds += ["active"] * (count - len(kinds))
    rng.shuffle(kinds)
    return kinds


def _people(kinds: list[str], rng: random.Random, now: datetime) -> list[Member]:
    """The people in the order of their ids, which is the order of Miro's pages."""
    number = FIRST_ID + rng.randrange(10**12)
    taken: set[str] = set()
    seen: dict[str, int] = {}
    totals = {kind: kinds.count(kind) for kind in set(kinds)}
    people = []
    for kind in kinds:
        number += rng.randrange(10**9, 10**11)
        rank = seen[kind] = seen.get(kind, -1) + 1
        member = _person(str(number), kind, rng, taken)
        _dates(member, kind, (rank, totals[kind]), rng, now)
        people.append(member)
    _employ(people, kinds)
    if len(people) >= VARIED_FROM:
        _vary(people, kinds)
    if len(people) >= LARGE_FROM:
        inactive = [member for member, kind in zip(people, kinds, strict=True) if kind == "inactive"]
        inactive[len(inactive) // 20 * 10].admin_roles = ["User Admin"]
    return people


def _employ(people: list[Member], kinds: list[str]) -> None:
    """Division, employee number and manager: the first active person of the department, who has none."""
    managers: dict[str, str] = {}
    for member, kind in zip(people, kinds, strict=True):
        if not member.department:
            continue
        member.division = DIVISIONS[member.cost_center[3]]
        member.employee_number = f"{int(member.id) % 10**6:06}"
        if kind == "active":
            managers.setdefault(member.department, member.id)
    for member in people:
        manager = managers.get(member.department, "")
        member.manager = manager if manager != member.id else ""


def _person(identifier: str, kind: str, rng: random.Random, taken: set[str]) -> Member:
    given, family, shown, latin = _name(rng)
    department, prefix = rng.choice(DEPARTMENTS)
    if kind == "guest" or rng.random() < 0.05:
        department = prefix = ""
    return Member(
        id=identifier,
        email=_email(latin, kind, rng, taken),
        active=kind != "deactivated",
        license=_license(kind, rng),
        role=_role(kind, rng),
        last_activity_at=None,
        license_assigned_at=None,
        given=given,
        family=family,
        display_name=shown,
        department=department,
        # Four of each department.
        cost_center=f"CC-{prefix}{rng.randrange(10, 100) % 4 * 10 + 10}" if prefix else "",
    )


def _license(kind: str, rng: random.Random) -> str:
    if kind == "admin":
        return "full"
    if kind == "guest":
        return rng.choice(("free", "free", "free_restricted"))
    return rng.choices(LICENSES, LICENSE_WEIGHTS)[0]


def _role(kind: str, rng: random.Random) -> str:
    if kind == "guest":
        return rng.choice((EXTERNAL, GUEST))
    return ADMIN if kind == "admin" else USER


def _name(rng: random.Random) -> tuple[str, str, str, tuple[str, str]]:
    givens, families, family_first = rng.choice(CULTURES)
    given, _, latin_given = rng.choice(givens).partition("|")
    family, _, latin_family = rng.choice(families).partition("|")
    shown = f"{family} {given}" if family_first else f"{given} {family}"
    return given, family, shown[:60].rstrip(), (latin_given or given, latin_family or family)


def _email(latin: tuple[str, str], kind: str, rng: random.Random, taken: set[str]) -> str:
    """Unique without regard to case; some with a tag after `+`, some in mixed case, as in real directories."""
    local = ".".join(_ascii(part) for part in latin)
    style = rng.random()
    if style < 0.04:
        local += rng.choice(("+miro", "+boards", "+eu"))
    domain = "partner.example" if kind == "guest" else "northfield.example"
    address, number = f"{local.lower()}@{domain}", 1
    while address in taken:
        number += 1
        name, plus, tag = local.lower().partition("+")
        address = f"{name}{number}{plus}{tag}@{domain}"
    taken.add(address)
    return address.title().replace(".Example", ".example") if style > 0.95 else address


def _ascii(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.translate(LATIN)).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain.replace(" ", "-") if letter.isalnum() or letter == "-")


def _dates(member: Member, kind: str, rank: tuple[int, int], rng: random.Random, now: datetime) -> None:
    last, assigned = _days(kind, rank, rng)
    if last is not None:
        member.last_activity_at = iso(now - timedelta(days=last), whole=rng.random() < 0.25)
    if assigned is not None:
        member.license_assigned_at = iso(now - timedelta(days=assigned), whole=rng.random() < 0.25)


def _days(kind: str, rank: tuple[int, int], rng: random.Random) -> tuple[float | None, float | None]:
    """Return how many days ago a person was last active, and got the license."""
    index, total = rank
    recent, long_ago = rng.uniform(1, 28), rng.uniform(70, 500)
    if kind == "never":
        if total >= 5 and index == total - 1:
            return None, None  # neither date is known
        return None, recent if index % 2 == 0 else long_ago
    if kind == "inactive":
        last = 61 + 438 * index / max(total - 1, 1) + rng.uniform(0.1, 0.9)
        return last, recent if index % 10 == 9 else last + rng.uniform(30, 900)
    ranges = {"deactivated": (100, 600), "quiet": (46, 59.5), "guest": (1, 300)}
    last = rng.uniform(*ranges.get(kind, (0.01, 45)))
    if kind == "active" and index % 10 == 3:
        return min(last, recent * rng.random()), recent
    return last, last + rng.uniform(60, 1400)


def _vary(people: list[Member], kinds: list[str]) -> None:
    """Make sure that each license, each role and each kind of e-mail address occurs at least once."""
    ordinary = [member for member, kind in zip(people, kinds, strict=True) if kind == "active"]
    for member, license_name in zip(ordinary, LICENSES, strict=False):
        member.license = license_name
    ordinary[len(LICENSES)].role = UNKNOWN
    ordinary[len(LICENSES) + 1].admin_roles = ["User Admin"]
    ordinary[len(LICENSES) + 2].admin_roles = ["Content Admin", "Workshop Facilitators"]
    plus, upper = ordinary[len(LICENSES) + 3], ordinary[len(LICENSES) + 4]
    plus.email = f"tagged+{plus.email}"
    upper.email = f"Upper.{upper.email.title()}".replace(".Example", ".example")
    guests = [member for member, kind in zip(people, kinds, strict=True) if kind == "guest"]
    for member, role in zip(guests, (GUEST, EXTERNAL), strict=False):
        member.role = role


def _organization(members: list[Member], seed: int) -> dict[str, Any]:
    """Seats are bought in round numbers, so there are a few more than are used."""
    full = sum(1 for member in members if member.active and member.license == "full")
    step = 50 if full >= 50 else 10
    return {
        "id": str(3_074_457_300_000_000_000 + _random(seed, 0).randrange(10**14)),
        "fullLicensesPurchased": (full * 21 // 20 // step + 1) * step,
        "name": "Northfield",
        "plan": "company",
        "type": "organization",
    }


def _teams(people: list[tuple[str, Member]], rng: random.Random) -> list[Team]:
    """About forty people each. In one of five, the only admin is inactive and nobody can replace them."""
    members = [member for _, member in people]
    active = [member.id for kind, member in people if kind in {"active", "admin"} and member.role in INTERNAL]
    inactive = [member.id for kind, member in people if kind == "inactive"]
    number = FIRST_ID + 10**15
    teams: list[Team] = []
    for index in range(max(1, len(members) // 40)):
        number += rng.randrange(10**9, 10**11)
        name = TEAMS[index % len(TEAMS)] + (f" {index // len(TEAMS) + 1}" if index >= len(TEAMS) else "")
        roles = _team_roles(rng.sample(members, min(40, len(members))))
        lonely = index % 5 == 1 and len(inactive) >= 4
        admins = rng.sample(inactive if lonely else active, 1 if lonely else min(2, len(active)))
        roles.update(dict.fromkeys(_admins(admins, people), "admin"))
        teams.append(Team(str(number), name, dict(sorted(roles.items()))))
    return teams


def _admins(admins: list[str], people: list[tuple[str, Member]]) -> list[str]:
    """The team's admins. In a small organization only the company admin, so that all others can be deactivated."""
    if len(people) > VARIED_FROM:
        return admins
    return [member.id for kind, member in people if kind == "admin"]


def _team_roles(members: list[Member]) -> dict[str, str]:
    return {
        member.id: "member" if member.role in INTERNAL else "non_team" for member in members if member.role != UNKNOWN
    }


def _secrets(seed: int) -> dict[str, str]:
    """Secrets in the format of Miro's, which begin with the region. The seed decides, so a restart keeps them."""
    made = {name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest() for name in ("rest", "scim", "client")}
    return {
        "client_id": str(FIRST_ID + int(made["client"][:10], 16)),
        "client_secret": made["client"][-32:],
        "access_token": f"eyJtaXJvLm9yaWdpbiI6ImV1MDEifQ_{made['rest'][:27]}",
        "scim_token": made["scim"],
    }


def app_secrets(organization_id: str) -> dict[str, str]:
    """The client ID and secret of the OAuth app; always the same for the same organization."""
    rng = random.Random(f"app {organization_id}")  # noqa: S311 - a sandbox's secret guards nothing
    return {
        "client_id": f"34587645{rng.randrange(10**11):011d}",
        "client_secret": "".join(rng.choices(string.ascii_letters + string.digits, k=32)),
    }


def unfit_teams(organization: Json) -> dict[str, Json]:
    """Teams that LicenseHub must refuse: a Developer team without an organization, and one of another company."""
    return {
        "3074457358600000001": {
            "name": "Labs Dev Sandbox",
            "kind": "developer",
            "about": "Developer team, not part of an Enterprise organization",
            "organization": None,
        },
        "3074457358600000002": {
            "name": "Strangers",
            "kind": "foreign",
            "about": "Another Company Ltd.",
            "organization": {**organization, "id": "3074457399999999998", "name": "Another Company Ltd."},
        },
    }
