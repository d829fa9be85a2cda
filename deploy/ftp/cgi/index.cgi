#!/usr/bin/env python3
"""One request of the book, for hosts with CGI and without a terminal. It lies beside the folder `guestbook`."""

import gc
import os
import runpy
import sys
from pathlib import Path
from wsgiref.handlers import CGIHandler

gc.disable()  # the process ends before there is much to collect
FOLDER = Path(__file__).resolve().parent / "guestbook"
os.environ.setdefault("GUESTBOOK_DATA_DIR", str(FOLDER / "data"))
# The rewriting in .htaccess renames this header, and adds the name of this file to each address.
if "REDIRECT_HTTP_AUTHORIZATION" in os.environ:
    os.environ["HTTP_AUTHORIZATION"] = os.environ["REDIRECT_HTTP_AUTHORIZATION"]
os.environ["SCRIPT_NAME"] = os.environ.get("SCRIPT_NAME", "").removesuffix("/index.cgi")

CGIHandler().run(runpy.run_path(str(FOLDER / "guestbook.pyz"))["application"]())
# Apache answers only after all of the body was read, even if the book has refused it.
while sys.stdin.buffer.read(65536):
    pass
