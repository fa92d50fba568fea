from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "licensehub.audit"
    verbose_name = "Audit"
