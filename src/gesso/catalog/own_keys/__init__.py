"""Bring your own key: what people's own provider keys are, and when a request runs on one. See docs/own-keys.md."""
