"""Who may ask: users with passwords, programs with tokens, sessions of browsers."""
