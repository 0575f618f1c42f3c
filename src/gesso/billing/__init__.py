"""What plans give, and when. For now: the grants on sign-up and at each monthly renewal, by the clock."""
