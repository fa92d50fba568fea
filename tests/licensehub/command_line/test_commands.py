"""Each command reads and acts by the API, with its exit codes and sentences."""

from __future__ import annotations

import json
from typing import Any

import click
import pytest

from licensehub.api.client import ApiError, Client
from licensehub.command_line import calls
from licensehub.command_line.exit_codes import Exit
from licensehub.command_line.main import cli as group
from subscriptions.approvals.closing import drop
from subscriptions.candidates.request_digest import rows_of
from subscriptions.models import Protection, ReclaimRule, Subscription
from tests.support.fixtures import person


def leaves(command: click.Command, words: tuple[str, ...] = ()):
    """Each command with its words."""
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield from leaves(one, (*words, name))
    else:
        yield words, command


def test_each_command_has_a_help_with_examples(cli, program, alice):
    for words, command in leaves(group):
        if "manage.py" in (command.help or ""):
            continue
        assert command.help and command.help[0].isupper(), words
        assert command.epilog and f"licensehub {' '.join(words)}" in command.epilog, words
        if words not in (("completion",), ("export",)):
            assert any("--json" in one.opts for one in command.params), words


def test_no_option_takes_a_token():
    """Other users of the machine see the arguments of a process."""
    for words, command in leaves(group):
        assert not any("token" in one.name for one in command.params), words
    assert {one.name for one in group.params if "token" in one.name} == {"token_file"}


@pytest.mark.parametrize("changes", [2, 3])
def test_a_request_that_changes_while_it_is_read_is_read_again_three_times(
    organization, cli, program, alice, bob, monkeypatch, changes
):
    """The list that is shown is the one whose digest is shown: an approver names that digest."""
    request = organization.ask(alice, count=5)
    left, read = iter(list(request.removals.order_by("pk"))[:changes]), Client.people
    shown: list[int] = []

    def people(client: Client, pk: int, **given: Any) -> Any:
        found = read(client, pk, **given)
        shown.append(len(found["items"]))
        if removal := next(left, None):
            drop(removal, actor=bob, reason="Needs it")
        return found

    monkeypatch.setattr(Client, "people", people)
    ran = cli(program(alice), "requests", "show", str(request.pk), "--json")
    assert len(shown) == 3
    if changes == 3:
        assert (ran.code, ran.out) == (Exit.REFUSED, "") and "changes again and again" in ran.err
    else:
        standing = set(request.removals.filter(dropped_at=None).values_list("candidate__subscription__external_id"))
        request.refresh_from_db()
        listed = {(row["external_id"],) for row in ran.json["listed"] if not row["dropped_at"]}
        assert listed == standing and len(standing) == 3
        assert (ran.json["revision"], ran.json["digest"]) == (request.revision, rows_of(request).digest)


def test_lists_are_read_to_their_end(organization, cli, program, alice):
    sent = program(alice)
    rows = cli(sent, "subscriptions", "list", "--all", "--json").json
    assert len(rows) == 12 and rows == sent.get("/subscriptions", limit=200)["items"]
    few = cli(sent, "subscriptions", "list", "--limit", "5")
    assert few.code == 0 and few.out.count("\n") == 6
    assert cli(sent, "subscriptions", "list", "--verdict", "candidate", "--holds-seat", "--json").json
    shown = cli(sent, "subscriptions", "show", str(rows[0]["id"]))
    assert rows[0]["verdict"]["reason"] in " ".join(shown.out.split())


@pytest.mark.parametrize(
    "words",
    [
        ("profiles", "list"),
        ("profiles", "show", "Northwind"),
        ("connections", "list"),
        ("webhooks", "list"),
        ("rules", "show", "Northwind"),
        ("protections", "list"),
        ("candidates", "list"),
        ("requests", "list"),
        ("history", "list"),
        ("runs", "list"),
        ("savings",),
        ("me",),
    ],
)
def test_each_list_is_a_table_and_json(organization, cli, program, alice, words):
    sent = program(alice)
    if words[0] == "connections":
        sent = program(person("olga", "Operator"))
    if words[0] == "webhooks":
        sent = program(person("ute", "Auditor"))
    table = cli(sent, *words)
    assert (table.code, table.err) == (0, "") and table.out.strip()
    assert json.loads(cli(sent, *words, "--json").out) is not None


def test_the_exit_codes_are_stable(organization, cli, program, alice, bob):
    sent = program(alice)
    codes = {
        ("profiles", "list"): Exit.DONE,
        ("profiles", "show", "Nobody"): Exit.USAGE,
        ("profiles", "list", "--nonsense"): Exit.USAGE,
        ("requests", "list", "--state", "nonsense"): Exit.USAGE,
        ("requests", "create", "2147483648", "--reason", "x"): Exit.USAGE,
        ("requests", "show", "999"): Exit.NOT_FOUND,
        ("users", "list"): Exit.NOT_ALLOWED,
        ("runs", "start", "Northwind"): Exit.NOT_ALLOWED,
    }
    for words, code in codes.items():
        ran = cli(sent, *words)
        assert ran.code == code, (words, ran)
        assert code == Exit.DONE or (ran.err.strip() and "Traceback" not in ran.err and not ran.out)
    request = organization.ask(alice, count=1)
    assert cli(sent, "requests", "withdraw", str(request.pk)).code == Exit.DONE
    assert cli(sent, "requests", "withdraw", str(request.pk)).code == Exit.REFUSED
    assert (Exit.DONE, Exit.FAILED, Exit.USAGE, Exit.REFUSED) == (0, 1, 2, 3)
    assert (Exit.NOT_ALLOWED, Exit.NOT_FOUND, Exit.NO_ANSWER, Exit.DIFFERENT) == (4, 5, 6, 7)


def test_a_wrong_value_is_named_with_its_place(organization, cli, program, alice):
    ran = cli(program(alice), "rules", "preview", "Northwind", "--threshold", "0")
    assert ran.code == Exit.USAGE and "last_activity_threshold" in ran.err


def test_a_preview_counts_and_changes_nothing(organization, cli, program, alice):
    before = ReclaimRule.objects.values().get()
    found = cli(program(alice), "rules", "preview", "Northwind", "--threshold", "3000", "--json").json
    assert (found["candidates_before"], found["candidates_after"]) == (8, 0)
    assert ReclaimRule.objects.values().get() == before


def test_protections_travel_as_csv(organization, cli, program, alice, tmp_path):
    sent = program(alice)
    file = tmp_path / "leave.csv"
    file.write_text(
        "address,reason,owner,end\nperson7@northwind.example,Leave,Sam,2099-01-31\n+x@y.example,Test,Sam,\n"
    )
    assert cli(sent, "protections", "import", "Northwind", str(file)).code == Exit.DONE
    assert set(Protection.objects.values_list("value", flat=True)) == {"person7@northwind.example", "+x@y.example"}
    exported = cli(sent, "protections", "export", "Northwind").out
    # What a spreadsheet would run is marked in the file, and read as it was.
    assert "'+x@y.example" in exported and "2099-01-31" in exported
    file.write_text(exported)
    again = cli(sent, "protections", "import", "Northwind", str(file), "--json").json
    assert (again["protections"], again["already"]) == ([], 2)
    file.write_text("address,reason,owner\nperson8@northwind.example,Leave,Sam\nnot one,Leave,Sam\n@@,x,y\n")
    wrong = cli(sent, "protections", "import", "Northwind", str(file))
    assert wrong.code == Exit.USAGE and "line 3" in wrong.err and "line 4" in wrong.err
    assert Protection.objects.count() == 2
    file.write_bytes(b"address\n\xff\xff\n")
    assert "Line 2 is not UTF-8" in cli(sent, "protections", "import", "Northwind", str(file)).err
    made = Protection.objects.get(value="+x@y.example")
    assert cli(sent, "protections", "end", str(made.pk)).code == Exit.DONE
    assert cli(sent, "protections", "end", str(made.pk)).code == Exit.REFUSED


def test_a_terminal_gets_no_control_characters(organization, cli, program, alice, tmp_path):
    """A person chooses their own name. Control: without `printable` the name is there as it is."""
    hostile = "\x1b]0;x\x07\x1b[2J\u202eeve\u200b"
    Subscription.objects.filter(name="Person 7").update(name=hostile)
    sent = program(alice)
    row = Subscription.objects.get(name=hostile)
    table = cli(sent, "subscriptions", "list", "--all")
    one = cli(sent, "subscriptions", "show", str(row.pk))
    as_json = cli(sent, "subscriptions", "list", "--all", "--json")
    for ran in (table, one, as_json):
        assert ran.code == 0 and all(sign.isprintable() or sign == "\n" for sign in ran.out)
    assert hostile in [found["name"] for found in as_json.json]
    file = tmp_path / "people.csv"
    assert cli(sent, "export", "subscriptions", "--output", str(file)).code == 0
    assert "12 rows." in cli(sent, "export", "subscriptions", "--format", "jsonl", "--output", str(file)).err
    assert len([json.loads(line) for line in file.read_text().splitlines()]) == 12


def test_an_act_without_an_answer_is_repeated_with_its_key(monkeypatch):
    monkeypatch.setattr(calls, "RETRY_DELAY", 0)
    keys: list[str] = []

    def call(key: str) -> str:
        keys.append(key)
        if len(keys) < 3:
            raise ApiError(0, {"detail": "No answer."})
        return "done"

    session = calls.Session("", "")
    assert session.act(call) == "done" and len(set(keys)) == 1 and len(keys) == 3
    with pytest.raises(ApiError):
        session.act(lambda key: call_that_is_refused())


def call_that_is_refused() -> str:
    raise ApiError(409, {"detail": "Too late."})


def test_roles_are_granted_by_an_admin_and_wait(organization, cli, program, alice, bob):
    admin = person("carol", "Company admin")
    sent = program(admin)
    ran = cli(sent, "users", "grant", "alice", "--role", "Approver")
    assert ran.code == 0 and "waits" in ran.out, ran.err
    assert cli(sent, "users", "grant", "alice", "--role", "Company admin").code == Exit.REFUSED
    assert cli(sent, "users", "grant", "alice", "--role", "Nonsense").code == Exit.REFUSED
    waiting = cli(sent, "users", "changes", "--state", "waiting", "--json").json
    assert [row["account"] for row in waiting] == ["alice"]
    assert "no longer" not in cli(sent, "users", "revoke", "alice", "--role", "Approver").out
    assert cli(program(alice), "users", "grant", "alice", "--role", "Auditor").code == Exit.NOT_ALLOWED


def test_connections_are_tested_and_the_code_says_whether_they_work(world, cli, program):
    sent = program(person("olga", "Operator"))
    works = cli(sent, "connections", "test", world.profile.name, "--json")
    assert (works.code, works.json["fit"]) == (0, True)
    world.sandbox.stop()
    with pytest.raises(SystemExit) as broken:
        cli(sent, "connections", "test", world.profile.name)
    assert broken.value.code == Exit.DIFFERENT
