"""The ledger: who has how many credits and uses, and every movement of them. See README.md in this folder."""
