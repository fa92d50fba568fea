"""All addresses: the admin, and `/license` for people who are asked. `site.health` answers `/health` before these."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from subscriptions.notices.views import my_license

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("license/<str:token>/", my_license, name="my_license"),
    path("admin/", admin.site.urls),
]
