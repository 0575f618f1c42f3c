"""People, their workspaces and their sessions: who someone is and what they may do."""
