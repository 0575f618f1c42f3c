"""The stand-in for Stripe: API, hosted checkout, customer portal, invoices, webhooks and test clocks."""
