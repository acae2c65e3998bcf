"""Every stream listener of the daemon, and who gets a connection that came in."""
