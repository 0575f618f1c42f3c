"""Promptchan's wire protocol under /promptchan."""
