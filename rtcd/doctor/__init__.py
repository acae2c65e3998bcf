"""`rtcd doctor`: says what is wrong with an installation, how it is known, what it means, and what mends it."""
