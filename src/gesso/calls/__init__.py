"""Talking to a provider for someone: attempts, guards, the pool of adapters."""
