"""A worker: ``twistd``, as its parent starts it (rtcd.workers.command)."""

import sys

from twisted.scripts.twistd import run

if __name__ == "__main__":
    sys.argv[0] = "twistd"
    run()
