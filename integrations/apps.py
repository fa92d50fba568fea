from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class IntegrationsConfig(AppConfig):
    name = "integrations"
    verbose_name = _("Integrations")

    def ready(self) -> None:
        from django.conf import settings

        from integrations import transaction_guard
        from integrations.connectors.network import Network, set_network
        from integrations.installation import instance
        from licensehub.audit.anchors.write import register_instance_id

        set_network(Network(proxy=settings.VENDOR_PROXY, ca_bundle=settings.VENDOR_CA_BUNDLE))
        transaction_guard.register_guard()
        register_instance_id(instance.id_if_known)
