"""The page `/check`: tries every path from a browser, and joins what that saw with what arrived here."""
