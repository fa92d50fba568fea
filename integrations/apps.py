from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    name = "integrations"
    verbose_name = "Miro"

    def ready(self) -> None:
        from integrations import calls

        calls.register_guard()
