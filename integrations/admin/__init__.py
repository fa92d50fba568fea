"""The admin pages of integrations. Importing a module registers its pages."""

from integrations.admin import connection_admin as connection_admin
