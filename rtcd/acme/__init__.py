"""Certificates from an ACME authority (RFC 8555): when to ask, how to prove the names, how to keep what was given."""
