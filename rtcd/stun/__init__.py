"""STUN messages (RFC 8489) as bytes and as values. No sockets, no rules of who may do what."""
