"""Our calls against a provider's bill: what is missing, what nobody here asked for, what has another price."""
