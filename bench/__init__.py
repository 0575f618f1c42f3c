"""Measures what the product promises, side by side with what the database alone can do. See README.md."""
