"""``python -m rtcd.cli`` is ``rtcd``."""

from __future__ import annotations

import sys

from rtcd.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
