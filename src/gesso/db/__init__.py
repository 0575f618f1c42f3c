"""The database: engines, roles, transactions, paging, listening. Knows no feature."""

from gesso.db.database import Database
from gesso.db.listen import Listener
from gesso.db.session import ElevatedSession, PublicSession, Session, WorkspaceSession

__all__ = ["Database", "ElevatedSession", "Listener", "PublicSession", "Session", "WorkspaceSession"]
