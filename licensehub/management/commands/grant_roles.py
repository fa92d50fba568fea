"""`manage.py grant_roles`: gives the users of web, worker and beat the rights of `database.roles`, and no more."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from licensehub.database import roles
from licensehub.database.rights import sequences, users_that_exist
from licensehub.database.roles import Role


class Command(BaseCommand):
    help = (
        "Give the users of web, worker and beat their rights in PostgreSQL, as the owner of the tables "
        "(DATABASE_OWNER_URL). "
        "Run it after each `migrate`; it changes nothing where everything is right."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if connection.vendor != "postgresql":
            raise CommandError("SQLite has no roles: whoever can open the file can change it. Use PostgreSQL.")
        missing = {role.user for role in Role} - users_that_exist()
        if missing:
            made = "; ".join(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '…'" for name in sorted(missing))
            raise CommandError(
                f"A user of the database is missing: let its administrator run {made}. docs/database-roles.md says how."
            )
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
            cursor.execute("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC")
            database = connection.ops.quote_name(str(connection.settings_dict["NAME"]))
            # PostgreSQL gives it to everybody.
            cursor.execute(f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC")
            for role in Role:
                word, to = ("GRANT", "TO") if role in roles.MAKE_TEMPORARY_TABLES else ("REVOKE", "FROM")
                cursor.execute(f'{word} TEMPORARY ON DATABASE {database} {to} "{role.user}"')
                for statement in roles.statements(role):
                    cursor.execute(statement)
                for table, sequence in sequences():
                    if roles.declared(role)[table].insert:
                        cursor.execute(f'GRANT USAGE ON SEQUENCE {sequence} TO "{role.user}"')
        self.stdout.write(f"{', '.join(f'{role.user} ({role})' for role in Role)}: rights are as declared.")
