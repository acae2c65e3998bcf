"""Collider's protocol: a WebSocket and its HTTP half, acting on the rooms."""
