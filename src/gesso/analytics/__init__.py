"""Counts and costs from recorded facts, across rooms. Changes no row."""
