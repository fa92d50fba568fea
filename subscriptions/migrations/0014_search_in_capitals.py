"""The text of the search in capitals: a search compares thousands of texts, and need not turn each of them."""

import sys

from django.db import DatabaseError, migrations, transaction

CAPITALS = "UPDATE subscriptions_searchtext SET text = SUBSTR(UPPER(text), 1, 520)"
EXTENSION = "CREATE EXTENSION IF NOT EXISTS pg_trgm"
PLAIN = "CREATE INDEX search_letters ON subscriptions_searchtext USING gin (text gin_trgm_ops)"
TURNED = "CREATE INDEX search_letters ON subscriptions_searchtext USING gin ((UPPER(text::text)) gin_trgm_ops)"
NOT_ALLOWED = """
PostgreSQL did not let LicenseHub use its extension pg_trgm: {error}
Everything works without it; only the search in lists of very many people is slow. To make it fast, install the
package postgresql-contrib and let a superuser of the database run:
    {extension};
    {index};
"""


def _index(schema_editor, statement):
    try:
        with transaction.atomic(using=schema_editor.connection.alias):
            schema_editor.execute(EXTENSION)
            schema_editor.execute(statement)
    except DatabaseError as error:
        sys.stderr.write(NOT_ALLOWED.format(error=str(error).strip(), extension=EXTENSION, index=statement))


def to_capitals(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        schema_editor.execute(CAPITALS)
        return
    # Before the rows are written anew, which would enter each into it.
    schema_editor.execute("DROP INDEX IF EXISTS search_letters")
    schema_editor.execute(CAPITALS)
    _index(schema_editor, PLAIN)


def back(apps, schema_editor):
    """The next download writes the texts as they were."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS search_letters")
        _index(schema_editor, TURNED)


class Migration(migrations.Migration):
    dependencies = [("subscriptions", "0013_candidates_of_one_run")]
    operations = [migrations.RunPython(to_capitals, back)]
