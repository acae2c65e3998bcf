"""The relay plane on plain sockets: the reference that every other plane is measured against."""
