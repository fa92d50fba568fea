"""The whole job at two terminals, by real processes: the sandbox of the vendor says what happened."""

from __future__ import annotations

import pytest

from licensehub.audit.models import AuditEvent
from licensehub.build import version
from subscriptions.reclaims.engine import reclaim_due


def test_two_people_do_the_whole_job_at_their_terminals(
    real_transactions, world, program, alice, bob, live_server, allow_http, process, tmp_path
):
    allow_http(live_server.url)
    world.first_download()
    wanted = {row.subscription.external_id for row in world.candidates(2).select_related("subscription")}
    asks, decides = program(alice), program(bob)
    token = tmp_path / "token of bob"
    token.write_text(f"{decides.text}\n")
    token.chmod(0o600)

    def as_alice(*words: str):
        return process(*words, LICENSEHUB_URL=live_server.url, LICENSEHUB_TOKEN=asks.text)

    def as_bob(*words: str):
        return process("--url", live_server.url, "--token-file", str(token), *words)

    listed = as_alice("candidates", "list", "--state", "ready", "--all", "--json").json
    ids = [str(row["id"]) for row in listed if row["external_id"] in wanted]
    made = as_alice("requests", "create", *ids, "--reason", "True-up", "--json")
    assert made.code == 0, made.err
    request = str(made.json["request"])
    # Who asked cannot decide; who has not read the list cannot; and not with somebody else's token.
    own = as_alice("decisions", "reject", request, "--comment", "No")
    assert (own.code, "does not have the right" in own.err) == (4, True)
    unread = as_bob("decisions", "approve", request)
    assert (unread.code, "--digest" in unread.err) == (2, True)
    mistaken = as_bob("decisions", "approve", request, "--as", "alice")
    assert (mistaken.code, "one of bob, not of alice" in mistaken.err) == (2, True)
    stale = as_bob("decisions", "approve", request, "--digest", "0" * 64, "--revision", "0")
    assert stale.code == 3 and world.deactivated_by_us() == []
    shown = as_bob("requests", "show", request, "--json").json
    assert {row["external_id"] for row in shown["listed"]} == wanted
    given = ("--digest", shown["digest"], "--revision", str(shown["revision"]), "--comment", "Read it")
    approved = as_bob("decisions", "approve", request, *given, "--as", "bob")
    assert (approved.code, "approved" in approved.out) == (0, True), approved.err
    reclaim_due(world.profile)
    assert set(world.deactivated_by_us()) == wanted
    history = as_alice("history", "list", "--request", request, "--json").json
    assert {row["state"]["code"] for row in history} == {"done"}
    names = AuditEvent.objects.filter(action__in=["request.opened", "request.approved"]).order_by("sequence")
    assert [(event.actor_name, event.data["token"]) for event in names] == [
        ("alice", asks.token.pk),
        ("bob", decides.token.pk),
    ]


@pytest.mark.parametrize("name", ["click.py", "licensehub.py", "json.py"])
def test_no_module_of_the_folder_is_imported(process, tmp_path, name):
    """Control: without `-P` the file is run."""
    (tmp_path / name).write_text("raise SystemExit('taken over')")
    ran = process("--version")
    assert (ran.code, ran.out) == (0, f"LicenseHub {version()}\n"), ran.err


def test_the_doctor_is_reached_by_the_same_entry(process):
    ran = process("doctor", "--help")
    assert ran.code == 0 and "--json" in ran.out, ran.err


def test_bash_completes_commands_and_options(process):
    def completed(words: str) -> set[str]:
        line = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        ran = process(_LICENSEHUB_COMPLETE="bash_complete", **line)
        return {line.partition(",")[2] for line in ran.out.splitlines()}

    assert {"protections", "profiles"} <= completed("licensehub pr")
    assert completed("licensehub decisions ") == {"approve", "reject"}
    assert {"--digest", "--as"} <= completed("licensehub decisions approve --")
    for shell in ("bash", "zsh", "fish"):
        assert "_LICENSEHUB_COMPLETE" in process("completion", shell).out
