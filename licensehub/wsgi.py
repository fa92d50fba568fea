"""The WSGI application that gunicorn serves."""

import gc
import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from licensehub.checks.start import Process, refuse_wrong_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "licensehub.settings")

application = get_wsgi_application()
refuse_wrong_settings(Process.WEB)
# Everything loaded by now stays in memory. Otherwise each full collection reads it again, and delays a page by 50 ms.
import_module(settings.ROOT_URLCONF)
gc.collect()
gc.freeze()
