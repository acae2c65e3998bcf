"""Installing for good: what ``rtcd install`` puts where, and what it takes away again."""
