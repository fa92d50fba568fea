from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class IntegrationsConfig(AppConfig):
    name = "integrations"
    verbose_name = _("Integrations")

    def ready(self) -> None:
        from django.conf import settings

        from integrations import sending, transaction_guard
        from integrations.connectors.network import Network, set_network
        from licensehub.audit.checkpoint import register_confirmation

        set_network(Network(proxy=settings.VENDOR_PROXY, ca_bundle=settings.VENDOR_CA_BUNDLE))
        transaction_guard.register_guard()
        register_confirmation(sending.released_since)
