"""The adapter of Promptchan, a provider for adult editions. Everybody it depicts or plays is an adult: see `age`."""
