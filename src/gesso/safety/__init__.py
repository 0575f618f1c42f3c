"""What may not be asked for: built-in rules first, then what an operator adds. Pure rules live in `policy`."""
