from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class IntegrationsConfig(AppConfig):
    name = "integrations"
    verbose_name = _("Integrations")

    def ready(self) -> None:
        from django.conf import settings

        from integrations import transaction_guard
        from integrations.connectors.network import Network, set_network

        set_network(Network(proxy=settings.VENDOR_PROXY, ca_bundle=settings.VENDOR_CA_BUNDLE))
        transaction_guard.register_guard()
