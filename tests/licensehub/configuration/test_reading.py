"""YAML that a stranger wrote: a sentence with its place, and nothing constructed, expanded or taken twice."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from licensehub.configuration import references
from licensehub.configuration.document import Dumper
from licensehub.configuration.reading import Entry, Place, Wrong, read_file, read_text

QUICK = settings(max_examples=300, deadline=None, database=None)


def wrong(text: str) -> str:
    with pytest.raises(Wrong) as found:
        read_text(text, "x.yaml")
    return str(found.value)


def plain(entry: Entry) -> object:
    if isinstance(entry.value, dict):
        return {name: plain(one) for name, one in entry.value.items()}
    return [plain(one) for one in entry.value] if isinstance(entry.value, list) else entry.value


def test_mistakes_have_a_place_and_a_sentence():
    assert wrong("a: 1\nb: 2\na: 3\n") == "x.yaml:3:1: “a” is here twice: the first one is in line 1."
    assert wrong("a: &x [1]\nb: *x\n").startswith("x.yaml:1:4: Anchors and aliases")
    assert wrong("a: !!python/object/apply:os.system [id]\n").startswith("x.yaml:1:4: Tags")
    assert wrong("a: [1, 2\nb: 3\n").startswith("x.yaml:2:")
    assert wrong("a: 1\n---\nb: 2\n").startswith("x.yaml:2:1: The file has a second document.")
    assert wrong("a: 1\nb: \x07\n").startswith("x.yaml:2:4: A file may not have this character.")
    assert "nested too deeply" in wrong("[" * 5000)
    assert wrong("? [a]\n: 1\n").startswith("x.yaml:1:3: A name is a text.")


@pytest.mark.parametrize("text", ['a: "\\UFFFFFFFF"', 'a: "\\U00110000"', f"%YAML 1.{'1' * 5000}\n--- a"])
def test_numbers_that_python_cannot_take_are_a_mistake(text):
    assert "an escape or a number is too large" in wrong(f"{text}\n")


@pytest.mark.parametrize("text", ['a: "x\\ud800"', '"\\ude00": 1', 'a: ["\\0"]'])
def test_a_character_that_no_database_stores_is_a_mistake(text):
    assert "No database stores" in wrong(text)


def test_a_word_is_what_its_place_says():
    """YAML 1.1 reads `no` as false, `1e3` as a number and `2026-01-01` as a day."""
    entry = read_text("name: no\nyes: 1e3\nday: 2026-01-01\nnothing: ~\nquoted: '~'\nnumber: 60\non: true\n", "x")
    assert plain(entry) == {
        "name": "no",
        "yes": "1e3",
        "day": "2026-01-01",
        "nothing": None,
        "quoted": "~",
        "number": "60",
        "on": "true",
    }
    assert entry.required("number").number() == 60 and entry.required("on").switch() is True
    for name in ("name", "yes", "day"):
        with pytest.raises(Wrong, match="whole number"):
            entry.required(name).number()


def test_a_file_that_cannot_be_read_gets_a_sentence(tmp_path):
    for content, said in ((b"a: \xff\n", "not UTF-8"), (b"#" * 2_000_001, "larger than 2 MB")):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(Wrong, match=said):
            read_file(tmp_path / "x")
    with pytest.raises(Wrong, match="No such file"):
        read_file(tmp_path / "none")


@QUICK
@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"])) | st.text(alphabet="abU0F:-[]{}&*!?|>'\"#%\n \t~<,\\x")
)
def test_garbage_is_an_entry_or_a_mistake_in_the_file(text):
    try:
        found = read_text(text, "x")
    except Wrong as mistake:
        assert re.match(r"x:[1-9]\d*:[1-9]\d*: .+[.]$", str(mistake), re.DOTALL), mistake
        assert mistake.place.line <= text.count("\n") + 2
    else:
        assert isinstance(found, Entry)


WORDS = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
TREES = st.recursive(
    WORDS, lambda one: st.lists(one, max_size=4) | st.dictionaries(WORDS, one, max_size=4), max_leaves=12
)


@QUICK
@given(st.dictionaries(WORDS, TREES, max_size=4))
def test_what_is_written_is_read(tree):
    """Also names with quotation marks, line breaks, invisible characters and YAML's own signs."""
    text = yaml.dump(tree, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
    assert plain(read_text(text, "x")) == tree


def entry(text: str) -> Entry:
    return Entry(Place("x", 3, 9), text)


def test_secrets_come_by_reference(monkeypatch, tmp_path):
    monkeypatch.setenv("MY_TOKEN", "from-env\n")
    (tmp_path / "token").write_text("from-file\n")
    assert references.secret_of(entry("env:MY_TOKEN")) == "from-env"
    assert references.secret_of(entry(f"file:{tmp_path}/token")) == "from-file"
    secret = "eyJvcmlnaW4iOiJldTAxIn0_a-secret"
    for text in (secret, "env:", "env:NOT_SET_HERE", "file:relative", f"file:{tmp_path}/none", f"file:{tmp_path}"):
        with pytest.raises(Wrong) as found:
            references.secret_of(entry(text))
        assert str(found.value).startswith("x:3:9: ") and secret not in str(found.value)


def test_vault_is_read_by_hvac_where_it_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "hvac", None)
    with pytest.raises(Wrong, match="needs the package hvac"):
        references.secret_of(entry("vault:secret/licensehub/miro#token"))
    asked: list[dict[str, object]] = []

    def read(**given: object) -> dict[str, object]:
        asked.append(given)
        return {"data": {"data": {"token": "from-vault"}}}

    secrets = SimpleNamespace(kv=SimpleNamespace(v2=SimpleNamespace(read_secret_version=read)))
    monkeypatch.setitem(sys.modules, "hvac", SimpleNamespace(Client=lambda **given: SimpleNamespace(secrets=secrets)))
    assert references.secret_of(entry("vault:secret/licensehub/miro#token")) == "from-vault"
    assert (asked[0]["mount_point"], asked[0]["path"]) == ("secret", "licensehub/miro")
    for text in ("vault:secret/licensehub/miro#none", "vault:secret#token"):
        with pytest.raises(Wrong, match=r"Vault gave no secret|MOUNT/PATH#KEY"):
            references.secret_of(entry(text))
