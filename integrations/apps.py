from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    name = "integrations"
    verbose_name = "Integrations"

    def ready(self) -> None:
        from integrations import sending, transaction_guard
        from licensehub.audit.checkpoint import register_confirmation

        transaction_guard.register_guard()
        register_confirmation(sending.released_since)
