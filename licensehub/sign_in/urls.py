"""The addresses of the sign-in. What allauth has beside these is not reachable."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from licensehub.sign_in.factors import views
from licensehub.sign_in.sso import views as sso

urlpatterns = [
    path("sign-in/", views.to_sign_in, name="account_login"),
    path("sign-in/factor/", views.authenticate, name="mfa_authenticate"),
    path("sign-in/passkey/", views.sign_in_with_passkey, name="mfa_login_webauthn"),
    path("sign-in/cancel/", views.cancel, name="sign_in_cancel"),
    path("account/factors/", admin.site.admin_view(views.set_up), name="factors"),
    path("account/factors/app/", views.add_app, name="mfa_activate_totp"),
    path("account/factors/app/remove/", views.remove_app, name="mfa_deactivate_totp"),
    path("account/factors/passkey/", views.add_passkey, name="mfa_add_webauthn"),
    path("account/factors/passkey/<int:pk>/remove/", views.remove_passkey, name="mfa_remove_webauthn"),
    path("account/factors/codes/", views.recovery_codes, name="mfa_view_recovery_codes"),
    path("account/factors/codes/new/", views.new_recovery_codes, name="mfa_generate_recovery_codes"),
    path("sign-in/oidc/<str:provider_id>/", sso.oidc_login, name="openid_connect_login"),
    path("sign-in/oidc/<str:provider_id>/callback/", sso.oidc_callback, name="openid_connect_callback"),
    path("sign-in/saml/<str:organization_slug>/", sso.saml_login, name="saml_login"),
    path("sign-in/saml/<str:organization_slug>/acs/", sso.saml_acs, name="saml_acs"),
    path("sign-in/saml/<str:organization_slug>/acs/finish/", sso.saml_finish_acs, name="saml_finish_acs"),
    path("sign-in/saml/<str:organization_slug>/metadata/", sso.saml_metadata, name="saml_metadata"),
    path("sign-in/saml/<str:organization_slug>/sls/", sso.nothing, name="saml_sls"),
    path("account/sign-on/<str:key>/link/", admin.site.admin_view(sso.link), name="sso_link"),
    path("account/sign-on/<int:pk>/unlink/", admin.site.admin_view(sso.unlink), name="sso_unlink"),
    # allauth leads to these after an act.
    path("account/", views.to_security, name="mfa_index"),
    path("account/factors/passkeys/", views.to_security, name="mfa_list_webauthn"),
    path("account/sign-on/", views.to_security, name="socialaccount_connections"),
    path("sign-in/canceled/", views.to_sign_in, name="socialaccount_login_cancelled"),
    path("sign-in/error/", views.to_sign_in, name="socialaccount_login_error"),
    path("sign-in/new/", views.to_sign_in, name="socialaccount_signup"),
    path("sign-in/inactive/", views.to_sign_in, name="account_inactive"),
    path("account/confirm/", views.to_security, name="account_reauthenticate"),
    path("account/confirm/factor/", views.to_security, name="mfa_reauthenticate"),
    path("account/confirm/passkey/", views.to_security, name="mfa_reauthenticate_webauthn"),
]
