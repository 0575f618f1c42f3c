"""What plans give and when, and how they are paid for."""
