"""What Passenger loads, for hosts without a terminal. It lies beside the folder `guestbook`."""

import os
import runpy
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "guestbook"
os.environ.setdefault("GUESTBOOK_DATA_DIR", str(FOLDER / "data"))
application = runpy.run_path(str(FOLDER / "guestbook.pyz"))["application"]()
