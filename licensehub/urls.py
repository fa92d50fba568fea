"""All addresses: the admin, `/license` and `/company` for people who are asked, `/welcome` for people who are invited.

`site.middleware.health` answers `/health` and the addresses below it before these.
"""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.templatetags.static import static
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from licensehub.api.service import api
from licensehub.sign_in.views import go_on, with_our_password_form, with_our_sign_in
from licensehub.site.accounts.api_tokens import all_api_tokens, api_tokens, end_api_token
from licensehub.site.accounts.invitations import WelcomeView
from licensehub.site.accounts.security import end_sessions, security
from licensehub.site.find import find
from licensehub.site.unwritable import error_page
from subscriptions.company.views import company_logo
from subscriptions.notices.views import my_license


def favicon(request: HttpRequest) -> HttpResponse:
    """Browsers ask for this address on pages that name no icon."""
    return HttpResponseRedirect(static("licensehub/favicon.svg"))


admin.site.login = with_our_sign_in(admin.site)  # type: ignore[method-assign]  # our page
admin.site.password_change = with_our_password_form(admin.site)  # type: ignore[method-assign,assignment]  # our page

handler500 = error_page

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("favicon.ico", favicon),
    path("license/<str:token>/", my_license, name="my_license"),
    path("company/logo/<slug:digest>", company_logo, name="company_logo"),
    path("welcome/<uidb64>/<token>/", WelcomeView.as_view(), name="welcome"),
    # The overview and the menu take the place of Django's list of an app's models. The first part of a path leads here.
    re_path(r"^admin/(?:audit|auth|integrations|subscriptions)/$", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/find/", admin.site.admin_view(find), name="find"),
    path("account/security/", admin.site.admin_view(security), name="security"),
    path("account/security/end/", admin.site.admin_view(end_sessions), name="end_sessions"),
    path("account/tokens/", admin.site.admin_view(api_tokens), name="api_tokens"),
    path("account/tokens/<int:pk>/end/", admin.site.admin_view(end_api_token), name="end_api_token"),
    path("admin/api-tokens/", admin.site.admin_view(all_api_tokens), name="all_api_tokens"),
    path("", include("licensehub.sign_in.urls")),
    path("api/v1/", api.urls),
    path("admin/go-on/", admin.site.admin_view(go_on), name="go_on"),
    path("admin/", admin.site.urls),
]
