"""fal's wire, as its fact sheet tells it: queue, direct call, storage, webhooks, and a little of the platform API."""
