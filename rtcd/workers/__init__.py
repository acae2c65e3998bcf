"""Several processes that are one daemon: ``[daemon] workers``. The parent supervises, its children do the work."""
