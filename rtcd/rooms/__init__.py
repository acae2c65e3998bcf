"""Rooms: their rules, and the store that keeps them."""
