"""How this machine looks from outside: the public addresses that clients are told."""
