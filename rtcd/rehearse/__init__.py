"""Rehearsing a busy hour: headless people in real rooms, as relayed calls, and what they see of it."""
