"""`/metrics`: what this process counted, and what is true of the whole site. See docs/monitoring.md."""

from gesso.api.metrics.exposition import Exposition
from gesso.api.metrics.listener import listening
from gesso.api.metrics.routes import router

__all__ = ["Exposition", "listening", "router"]
