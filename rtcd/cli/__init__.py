"""The command ``rtcd``, for who looks after the daemon: one verb a module."""
