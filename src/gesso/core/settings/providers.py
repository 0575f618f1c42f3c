"""Settings of who makes the pictures: the providers' keys, and the sandbox that stands in for them."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from gesso.core.settings.base import prefixed


class ProviderSettings(BaseSettings):
    """Keys that fill each provider's connection at the start, until an operator has edited it."""

    model_config = prefixed("")

    fal_key: SecretStr | None = None
    """Key of fal, `id:secret`. Without it the sandbox answers in development; in production fal is off."""
    fal_base_url: str | None = None
    """Another origin that speaks fal's wire: a proxy or a stand-in."""
    replicate_api_token: SecretStr | None = None
    """Token of Replicate. Without it as with fal."""
    replicate_base_url: str | None = None
    """Another origin that speaks Replicate's wire, with or without `/v1` at its end."""
    kie_api_key: SecretStr | None = None
    """Key of kie.ai, or `key:webhook key` where the account signs its notices. Without it as with fal."""
    kie_base_url: str | None = None
    """Another origin that speaks kie.ai's wire, uploads included."""
    openai_api_key: SecretStr | None = None
    """Key of OpenAI, or of the server that `OPENAI_BASE_URL` names. Without it as with fal."""
    openai_base_url: str | None = None
    """A server that speaks OpenAI's wire, such as `http://localhost:11434/v1`. It may want no key."""
    gemini_api_key: SecretStr | None = None
    """Key of the Gemini API. Without it as with fal."""
    gemini_base_url: str | None = None
    """Another origin that speaks Gemini's wire; `/v1beta` is added where no version stands at its end."""
    comfyui_base_url: str | None = None
    """A ComfyUI box, such as `http://10.0.0.5:8188`. Without it as with fal."""
    comfyui_api_key: SecretStr | None = None
    """Bearer token for a proxy in front of that box. ComfyUI itself wants none."""
    promptchan_api_key: SecretStr | None = None
    """Key of Promptchan, a provider of adult models. Without it as with fal."""
    promptchan_base_url: str | None = None
    """Another address that speaks Promptchan's wire, with or without `/api/external` at its end."""


class SandboxSettings(BaseSettings):
    """How long the sandbox takes for things, so that it feels like a provider."""

    model_config = prefixed("GESSO_SANDBOX_")

    queue_seconds: float = Field(0.3, ge=0)
    """Time a job waits in the sandbox's queue."""
    paint_seconds: str = Field("0.8-1.5", pattern=r"^\d+(\.\d+)?(-\d+(\.\d+)?)?$")
    """Time a picture takes, such as `1` or `0.8-1.5`."""
    painters: int = Field(2, ge=0, le=64)
    """Processes that paint. 0: a thread of the sandbox itself, which holds up its answers while it paints."""
    folder: Path | None = None
    """Where jobs, files and the bill are kept, so that they outlive a restart. Without it they end with the process."""
    webhook_origin: str | None = None
    """Deliver webhooks to this origin whatever host they name: for a product whose public name leads elsewhere."""
    stripe_webhook_url: str | None = None
    """Where the sandbox's Stripe sends every event. `gesso up` sets this by itself."""
    stripe_webhook_secret: SecretStr | None = None
    """Signs them. Both or neither."""

    @property
    def payment_webhook(self) -> tuple[str, str] | None:
        """Address and secret for Stripe's events, if both are set."""
        if self.stripe_webhook_url is None or self.stripe_webhook_secret is None:
            return None
        return self.stripe_webhook_url, self.stripe_webhook_secret.get_secret_value()
