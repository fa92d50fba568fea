"""All addresses: the admin is the application; `/health` is for the load balancer."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from licensehub.health import health

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("health", health, name="health"),
    path("admin/", admin.site.urls),
]
