from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "licensehub.api"
    label = "api"
