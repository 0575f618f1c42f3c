"""A stand-in for the providers: it speaks their wire protocol, paints real pictures, and fails on demand.

It stands apart on purpose: it shares no code with the adapters, so it cannot share their mistakes.
"""
