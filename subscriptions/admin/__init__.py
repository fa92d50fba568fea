"""The admin pages of subscriptions. Importing a module registers its pages."""

from subscriptions.admin import candidate as candidate
from subscriptions.admin import comparison as comparison
from subscriptions.admin import download as download
from subscriptions.admin import exclusion as exclusion
from subscriptions.admin import profile as profile
from subscriptions.admin import reclaim as reclaim
from subscriptions.admin import request as request
from subscriptions.admin import rule as rule
from subscriptions.admin import sending as sending
from subscriptions.admin import subscription as subscription
