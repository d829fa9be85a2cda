"""Fill a peer's queue, or take it away: `python -m scripts.benchmarks.peers FILE fill | clear`."""

import importlib
import sys

if __name__ == "__main__":
    getattr(importlib.import_module(f"scripts.benchmarks.peers.{sys.argv[1]}"), sys.argv[2])()
