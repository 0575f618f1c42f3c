"""What adapters of providers that never knock have in common."""

from collections.abc import Mapping

from gesso.providers.base import Operation, WebhookNotice
from gesso.providers.errors import WebhookRejected


class WithoutNotices:
    """The part of `Provider` about notices, for a provider that sends none: its jobs are asked for."""

    def recall(self, model: str, request_id: str) -> Operation | None:
        """Always None: there are no notices from which an id could be known."""
        return None

    async def parse_webhook(self, headers: Mapping[str, str], body: bytes) -> WebhookNotice:
        """Always refused: nothing asks for notices."""
        raise WebhookRejected("This provider sends no notices.")
