"""All settings, read from the environment and from the file `.env`. docs/configuration.md explains every variable."""

from licensehub.settings.api import *
from licensehub.settings.audit import *
from licensehub.settings.base import *
from licensehub.settings.sign_in import *
from licensehub.settings.watching import *
from licensehub.settings.webhooks import *
