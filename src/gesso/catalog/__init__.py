"""What can be asked for and what it costs: connections, models, plans, packs, style presets, editions."""
