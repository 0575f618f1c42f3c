"""What other rooms and the command line do with the catalogue, in one place.

Everything here that writes takes an elevated session and NOTIFYs `gesso_catalog` after its commit.
"""

from gesso.catalog.applying import edition_apply, edition_diff
from gesso.catalog.changes import Change
from gesso.catalog.connections import (
    add_connection,
    get_connection,
    list_connections,
    provider_config,
    replace_key,
    set_connection_enabled,
    set_model_enabled,
    test_connection,
)
from gesso.catalog.seeding import Seeded, check_policy, seed, switch

__all__ = [
    "Change", "Seeded", "add_connection", "check_policy", "edition_apply", "edition_diff", "get_connection",
    "list_connections", "provider_config", "replace_key", "seed", "set_connection_enabled", "set_model_enabled",
    "switch", "test_connection",
]  # fmt: skip
