"""Time-limited TURN credentials: issued, handed out by HTTP, checked."""
