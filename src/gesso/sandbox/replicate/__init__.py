"""Replicate's wire: predictions, files, signed webhooks (fact sheet `replicate`)."""
