from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    name = "integrations"
    verbose_name = "Miro"

    def ready(self) -> None:
        from integrations import transaction_guard

        transaction_guard.register_guard()
