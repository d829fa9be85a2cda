"""Fill a peer's queue, or take it away: `python -m scripts.benchmarks.support.peers FILE fill | clear`."""

import importlib
import sys

if __name__ == "__main__":
    getattr(importlib.import_module(f"scripts.benchmarks.support.peers.{sys.argv[1]}"), sys.argv[2])()
