"""The connection form takes all values of a connection together, and never shows them."""

from __future__ import annotations

from integrations.admin.credentials_form import CredentialsForm
from integrations.connectors.contract import Field, Guide, Slot

APP = Slot(
    name="app",
    label="OAuth app",
    fields=(
        Field(name="client_id", label="Client ID", secret=False),
        Field(name="client_secret", label="Client secret"),
        Field(name="note", label="Note", secret=False, required=False),
    ),
    guide=Guide(steps=(), least="", will=(), will_not=()),
)


def entered(**values: str) -> CredentialsForm:
    return CredentialsForm(APP, {f"app__{name}": value for name, value in values.items()})


def test_all_values_are_taken_together():
    form = entered(client_id="3458", client_secret="hush")
    assert form.is_valid()
    assert form.secrets == {"client_id": "3458", "client_secret": "hush"}


def test_a_missing_value_is_named():
    form = entered(client_id="3458", client_secret=" ")
    assert not form.is_valid()
    assert form.non_field_errors() == [
        "OAuth app: fill in Client secret as well. The values of a connection are stored together."
    ]


def test_an_empty_form_keeps_the_former_credentials():
    form = entered()
    assert not form.is_valid()
    assert form.non_field_errors() == ["Enter Client ID and Client secret. Nothing was changed."]


def test_a_secret_is_never_shown_again():
    form = entered(client_id="3458", client_secret="hush")
    assert "hush" not in form.as_p()
    assert 'autocomplete="new-password"' in form.as_p()
