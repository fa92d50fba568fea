from django.apps import AppConfig


class UiConfig(AppConfig):
    name = "licensehub.ui"
    verbose_name = "Lists"
