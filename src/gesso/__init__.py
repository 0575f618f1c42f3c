"""gesso: a self-hosted platform that turns outside generators into a product."""

__version__ = "0.1.0"
