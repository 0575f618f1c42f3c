"""Which way of paying a site has."""

import hashlib
import hmac
from datetime import timedelta

from gesso.accounts.mail import Mailer
from gesso.billing.manual import ManualPayments
from gesso.billing.port import Payments
from gesso.billing.stripe.line import Access
from gesso.billing.stripe.payments import StripePayments
from gesso.catalog.registry import Catalog
from gesso.core.clock import Clock
from gesso.core.settings import Settings, SettingsError
from gesso.db import Database

SANDBOX_KEY = "sk_test_gesso"
WEBHOOK_PATH = "/api/payments/webhook"


def open_till(settings: Settings, db: Database, catalog: Catalog, clock: Clock, mailer: Mailer) -> Payments:
    """Stripe, where it is configured or the sandbox stands in for it; else nothing is sold on the site."""
    access = stripe_access(settings, adult=catalog.edition.policy.adult)
    if access is None:
        return ManualPayments()
    grace = timedelta(days=settings.billing.grace_days)
    return StripePayments(
        access, db=db, catalog=catalog, clock=clock, mailer=mailer, site_url=settings.site.url, grace=grace
    )


def stripe_access(settings: Settings, *, adult: bool) -> Access | None:
    """How Stripe is reached: by the key that is set, else the sandbox's in development. None: not at all.

    Raises SettingsError when it is asked for without a key.
    """
    billing, site = settings.billing, settings.site
    if billing.provider == "manual" or adult:
        return None
    if billing.secret_key is not None:
        secret = billing.webhook_secret.get_secret_value() if billing.webhook_secret is not None else None
        return Access(billing.secret_key.get_secret_value(), secret, billing.base_url)
    if site.development and site.sandbox_url is not None:
        return Access(SANDBOX_KEY, sandbox_webhook_secret(settings), billing.base_url or f"{site.sandbox_url}/stripe")
    if billing.provider == "stripe":
        raise SettingsError("GESSO_BILLING is stripe, but STRIPE_SECRET_KEY is not set.")
    return None


def sandbox_webhook_secret(settings: Settings) -> str:
    """What the sandbox signs its notices with: the site's own, known to all its processes."""
    made = hmac.new(settings.secret_key.encode(), b"the sandbox's payment notices", hashlib.sha256)
    return f"whsec_{made.hexdigest()[:32]}"
