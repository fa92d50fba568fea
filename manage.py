#!/usr/bin/env python
"""Django's command line."""

import os
import sys

from django.core.management import execute_from_command_line
from django.db import DatabaseError

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "licensehub.settings")
    if sys.argv[1:] in (["version"], ["--version"]):
        # Django's command of this name prints the version of Django.
        from licensehub.build import version

        sys.stdout.write(f"LicenseHub {version()}\n")
        sys.exit()
    try:
        execute_from_command_line(sys.argv)
    except DatabaseError as error:
        from licensehub.database.empty_database import why_no_tables

        if not (sentence := why_no_tables()):
            raise
        sys.exit(f"{sentence} ({error})")
