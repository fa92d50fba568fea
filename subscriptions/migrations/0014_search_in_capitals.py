"""The text of the search in capitals: a search compares thousands of texts, and need not turn each of them."""

import sys
from importlib import import_module

from django.db import DatabaseError, migrations, transaction

lists = import_module("subscriptions.migrations.0010_lists")
CAPITALS = "UPDATE subscriptions_searchtext SET text = SUBSTR(UPPER(text), 1, 520)"
# Whoever follows the words of that migration later may have made its index by hand.
DROP = "DROP INDEX IF EXISTS search_letters"
LETTERS = "CREATE INDEX search_letters ON subscriptions_searchtext USING gin (text gin_trgm_ops)"


def to_capitals(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        schema_editor.execute(CAPITALS)
        return
    # Before the rows are written anew, which would enter each into it.
    schema_editor.execute(DROP)
    schema_editor.execute(CAPITALS)
    try:
        with transaction.atomic(using=schema_editor.connection.alias):
            schema_editor.execute(lists.EXTENSION)
            schema_editor.execute(LETTERS)
    except DatabaseError as error:
        by_hand = f"{DROP};\n    {LETTERS}"
        sys.stderr.write(lists.NOT_ALLOWED.format(error=str(error).strip(), extension=lists.EXTENSION, index=by_hand))


def back(apps, schema_editor):
    """The next download writes the texts as they were."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(DROP)
        lists.index_search(apps, schema_editor)


class Migration(migrations.Migration):
    dependencies = [("subscriptions", "0013_candidates_of_one_run")]
    operations = [migrations.RunPython(to_capitals, back)]
