"""The single place that lists adapters."""

from collections.abc import Callable, Mapping

from gesso.providers.base import ConnectionConfig, Provider
from gesso.providers.errors import Misconfigured
from gesso.providers.fal.adapter import FalAdapter

ADAPTERS: Mapping[str, Callable[[ConnectionConfig], Provider]] = {
    "fal": FalAdapter,
}


def build(adapter: str, config: ConnectionConfig) -> Provider:
    """The adapter named `adapter` for one connection.

    Raises Misconfigured when there is no such adapter, the address is unusable or a key is missing.
    """
    make = ADAPTERS.get(adapter)
    if make is None:
        raise Misconfigured("model", note=f"There is no adapter named {adapter!r}; known: {', '.join(ADAPTERS)}.")
    return make(config)
