"""Figures for Prometheus, and whether the daemon is well: the service ``[metrics]``."""
