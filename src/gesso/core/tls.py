"""Whom outgoing connections trust."""

import ssl
from functools import cache

import httpx2


@cache
def trusted() -> ssl.SSLContext:
    """The usual authorities, or those of SSL_CERT_FILE. Read once for a process: reading them takes 20 ms of CPU, and
    every connection to a provider wants them twice."""
    return httpx2.create_ssl_context()
