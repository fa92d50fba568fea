"""A client of the REST API, made from its OpenAPI document by `manage.py openapi`. It needs nothing but Python.

from licensehub.api.client import Client
idle = Client("https://licensehub.example", token).subscriptions(idle_before="2026-06-01")
"""

from licensehub.api.client.calls import Client as Client
from licensehub.api.client.transport import ApiError as ApiError
