"""Kills, pauses, starves and disconnects a running gesso under load, then proves that nothing was lost.

See README.md beside this file.
"""
