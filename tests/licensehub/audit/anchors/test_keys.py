"""The keys of the anchors: from the environment or a file, private, and rotated without a loss."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from licensehub.audit.anchors.keys import WrongKeys, current_keys, encoded, keys_of, new_keys
from licensehub.embedded import processes
from licensehub.embedded.errors import CannotRunError


def run(*words: str) -> str:
    out = StringIO()
    call_command("anchor_key", *words, stdout=out)
    return out.getvalue()


def test_a_key_in_a_file_is_private_and_never_overwritten(settings, tmp_path):
    settings.ANCHOR_KEY_FILE = tmp_path / "new" / "keys"
    assert current_keys().signing is None
    for action in ("rotate", "export"):
        with pytest.raises(CommandError, match="no key yet"):
            run(action)
    told = run("make")
    first = current_keys()
    assert first.signing_id in told
    assert settings.ANCHOR_KEY_FILE.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in settings.ANCHOR_KEY_FILE.parent.iterdir()] == ["keys"]
    with pytest.raises(CommandError, match="a key already"):
        run("make")

    run("rotate")
    run("rotate")
    third = current_keys()
    assert third.signing_id != first.signing_id
    assert len(third.public) == 3 and first.signing_id in third.public
    assert "private" not in run("export")
    assert run("export").startswith(f"public:{encoded(third.public[third.signing_id].public_bytes_raw())} # key_id ")
    assert set(keys_of(run("export")).public) == set(third.public)


def test_a_key_in_the_environment_wins_and_is_printed_by_the_rotation(settings, tmp_path):
    settings.ANCHOR_KEY_FILE = tmp_path / "keys"
    run("make")
    printed = run("rotate", "--print").strip()
    settings.ANCHOR_KEYS = printed.removeprefix("ANCHOR_KEYS=")
    assert len(current_keys().public) == 2
    with pytest.raises(CommandError, match="comes from ANCHOR_KEYS"):
        run("rotate")


def test_wrong_keys_are_refused_without_naming_them():
    private = new_keys().words()[0]
    for text in (f"{private},{private}", "private:abc", "public:ää", private[8:], "private:" + "A" * 8):
        with pytest.raises(WrongKeys) as error:
            keys_of(text)
        assert private[8:] not in str(error.value)
    assert keys_of("# only a comment\n\n").public == {}


def test_the_embedded_mode_makes_a_key_once(settings, tmp_path):
    settings.ANCHOR_KEYS, settings.ANCHOR_KEY_FILE = "", tmp_path / "var" / "anchor-keys"
    processes.make_anchor_key()
    first = current_keys().signing_id
    processes.make_anchor_key()
    assert current_keys().signing_id == first != ""
    settings.ANCHOR_KEY_FILE = tmp_path / "var" / "anchor-keys" / "below"
    with pytest.raises(CannotRunError, match="ANCHOR_KEY_FILE"):
        processes.make_anchor_key()
    settings.ANCHOR_KEYS = ",".join(new_keys().words())
    processes.make_anchor_key()
