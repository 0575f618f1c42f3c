"""Migrations: hand-written SQL, one transaction each, safe while the previous version is still running."""
