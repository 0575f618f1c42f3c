"""The embedded PostgreSQL: found running, or started, and stopped when its last user is gone."""

from gesso.db.embedded.client import EmbeddedPostgres, EmbeddedPostgresError

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError"]
