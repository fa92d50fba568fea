from django.apps import AppConfig


class ConfigurationConfig(AppConfig):
    name = "licensehub.configuration"
    label = "configuration"
