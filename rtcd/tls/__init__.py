"""Which certificate the daemon shows: its own, or one of a local authority; read again when it changes."""
