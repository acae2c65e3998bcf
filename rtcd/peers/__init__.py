"""Whom clients may reach through a relay."""
