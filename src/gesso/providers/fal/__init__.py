"""fal: queue API, uploads and webhooks. Facts were collected in November 2026 from its documentation and SDK source."""
