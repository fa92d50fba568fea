"""The door for gunicorn."""

import gc
import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "licensehub.settings")

application = get_wsgi_application()
# What is loaded by now stays. Else each full collection would look through it, and hold up a page for 50 ms.
import_module(settings.ROOT_URLCONF)
gc.collect()
gc.freeze()
