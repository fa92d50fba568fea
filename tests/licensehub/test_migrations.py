"""A later migration must leave tables with which the code of the release before works: both run during an update."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.conf import settings
from django_migration_linter import MigrationLinter
from django_migration_linter.sql_analyser.analyser import analyse_sql_statements, get_sql_analyser_from_string

OURS = {"licensehub", "integrations", "subscriptions"}
# Nothing runs before the first migration of an app.
FIRST = "0001_initial"


@pytest.fixture
def linter(db) -> MigrationLinter:
    labels = [one.label for one in apps.get_app_configs() if one.name.split(".")[0] in OURS]
    return MigrationLinter(str(settings.BASE_DIR), include_apps=labels, ignore_name=[FIRST], no_cache=True)


def test_the_code_of_the_release_before_works_with_the_new_tables(linter, capsys):
    linter.lint_all_migrations()
    assert linter.nb_total >= linter.nb_ignored >= 5
    assert (linter.nb_erroneous, linter.nb_warnings) == (0, 0), capsys.readouterr().out


@pytest.mark.parametrize(
    "statement",
    [
        'ALTER TABLE "subscriptions_price" ADD COLUMN "note" integer NOT NULL;',
        'ALTER TABLE "subscriptions_price" DROP COLUMN "amount";',
        'ALTER TABLE "subscriptions_price" RENAME COLUMN "amount" TO "price";',
        'DROP TABLE "subscriptions_price";',
    ],
)
def test_control_it_finds_what_would_stop_the_former_code(statement):
    errors, _, _ = analyse_sql_statements(get_sql_analyser_from_string("postgresql"), [statement], [])
    assert errors
