"""HTTP to Promptchan: where it is, how it wants the key, and the gate in front of everything that is made there.

Fact sheet, sections 1 and 5. Nothing is ever sent twice: there is no idempotency key, no list of jobs, and a picture
whose answer was lost may have been made and paid for.
"""

from gesso.providers.base import JSON, ConnectionConfig
from gesso.providers.errors import Misconfigured, OutcomeUnknown
from gesso.providers.http import Answer, HttpClient, NoAnswer, UntrustedUrl, checked_base, usable_key
from gesso.providers.promptchan import age

API = "https://prod.aicloudnetservices.com"
_PREFIX = "/api/external"
ASK_SECONDS = 30.0
FILE_ANSWER_BYTES = 96 * 2**20
"""Pictures come inside the answer, as base64."""


class PromptchanClient(HttpClient):
    """Speaks HTTP for one account. `base` ends in /api/external, `balance_url` is where the gems are asked for."""

    def __init__(self, config: ConnectionConfig) -> None:
        """The connection's option `balance_url` may name another host of the vendor: it gets the key too, and so
        only the operator can name it. Raises Misconfigured when an address or the key cannot be used."""
        root = checked_base(config.base_url) if config.base_url else API
        self.base = f"{root.removesuffix(_PREFIX)}{_PREFIX}"
        named = config.options.get("balance_url")
        if named is not None and not isinstance(named, str):
            raise Misconfigured("model", note="The option balance_url must be an address.")
        self.balance_url = checked_base(named) if named else f"{self.base}/status"
        super().__init__(usable_key(config), lambda key: {"x-api-key": key}, (self.base, self.balance_url))

    async def make(self, path: str, body: dict[str, JSON], *, seconds: float, about: str, chat: bool = False) -> Answer:
        """The only way to have something made: one POST, once the age in its body was seen to be an adult's.

        Raises Misconfigured (stopped here), Unavailable (nothing left), OutcomeUnknown (no usable answer came).
        """
        if chat:
            age.check_body(body, "age", "characterData")
        else:
            age.check_body(body, "age_slider")
        url = f"{self.base}/{path}"
        try:
            return await self.call("POST", url, body=body, seconds=seconds, max_bytes=FILE_ANSWER_BYTES)
        except NoAnswer as error:
            raise error.while_making(about) from None

    async def ask(self, url: str, about: str) -> Answer:
        """A GET, which costs nothing. Raises Unavailable; OutcomeUnknown when `url` lies at another address than the
        one configured now."""
        try:
            return await self.call("GET", url, seconds=ASK_SECONDS)
        except NoAnswer as error:
            raise error.while_asking(about) from None
        except UntrustedUrl:
            raise OutcomeUnknown(note="The job does not lie at the address configured for this connection.") from None
