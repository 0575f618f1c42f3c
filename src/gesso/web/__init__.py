"""The common look and the rim of HTTP: errors, security, limits, events, pages. Knows no feature."""
