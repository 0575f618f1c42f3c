"""Replicate: predictions, files and webhooks. Facts were collected in November 2026 from its documentation and SDKs."""
