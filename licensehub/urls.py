"""All addresses: the admin, `/license` for people who are asked, and `/health` for a load balancer."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from licensehub.site.health import health
from subscriptions.notices.views import my_license

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("health", health, name="health"),
    path("license/<str:token>/", my_license, name="my_license"),
    path("admin/", admin.site.urls),
]
