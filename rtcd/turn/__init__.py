"""The rules of a STUN and TURN server (RFC 8489, RFC 8656), and the service that runs them."""
