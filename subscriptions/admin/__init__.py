"""The admin pages of subscriptions. Importing a module registers its pages."""

from subscriptions.admin.accounts import rights_change_admin as rights_change_admin
from subscriptions.admin.approvals import request_admin as request_admin
from subscriptions.admin.candidates import candidate_admin as candidate_admin
from subscriptions.admin.company import company_admin as company_admin
from subscriptions.admin.downloads import download_admin as download_admin
from subscriptions.admin.money import contract_admin as contract_admin
from subscriptions.admin.money import price_admin as price_admin
from subscriptions.admin.notifications import choice_admin as choice_admin
from subscriptions.admin.profiles import profile_admin as profile_admin
from subscriptions.admin.reclaims import reclaim_admin as reclaim_admin
from subscriptions.admin.reclaims import sending as sending
from subscriptions.admin.reconciliation import reconciliation_admin as reconciliation_admin
from subscriptions.admin.reports import report_admin as report_admin
from subscriptions.admin.review import review_admin as review_admin
from subscriptions.admin.rules import rule_admin as rule_admin
from subscriptions.admin.rules.protections import protection_admin as protection_admin
from subscriptions.admin.subscriptions import subscription_admin as subscription_admin
from subscriptions.admin.webhooks import webhook_admin as webhook_admin
