"""Settings of how people pay."""

from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings

from gesso.core.settings.base import prefixed, web_address


class BillingSettings(BaseSettings):
    """How people pay for plans and packs. Nothing set, and in production: the operator tops up by hand."""

    model_config = prefixed("GESSO_BILLING_") | {"populate_by_name": True}

    provider: Literal["auto", "manual", "stripe"] = Field("auto", validation_alias="GESSO_BILLING")
    """`stripe`, or `manual`: nothing is sold online. `auto`: Stripe with `STRIPE_SECRET_KEY`; without it the sandbox's
    Stripe in development, else manual."""
    grace_days: int = Field(7, ge=0, le=60)
    """How long a plan stays after a renewal could not be paid."""
    secret_key: SecretStr | None = Field(None, validation_alias="STRIPE_SECRET_KEY")
    """Secret key of the Stripe account, `sk_…` or a restricted `rk_…`."""
    webhook_secret: SecretStr | None = Field(None, validation_alias="STRIPE_WEBHOOK_SECRET")
    """Signing secret `whsec_…` of the endpoint `/api/payments/webhook`. Without it that address is closed."""
    base_url: str | None = Field(None, validation_alias="STRIPE_BASE_URL")
    """Another origin that speaks Stripe's wire: a proxy or a stand-in."""

    @field_validator("base_url")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        return web_address(value, "https://api.stripe.com")
