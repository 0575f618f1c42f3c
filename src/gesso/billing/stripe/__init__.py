"""Payments by Stripe. Wire facts: docs.stripe.com, API version 2026-10-28.endive, as stripe-python 16.1 pins it."""
