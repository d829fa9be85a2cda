#!/path/to/guestbook/.venv/bin/python
"""One request of the book, for hosts that run nothing but CGI. Put it beside .htaccess and make it executable."""

import gc
import os
import sys
from wsgiref.handlers import CGIHandler

gc.disable()  # the process ends before there is much to collect
sys.path.insert(0, "/path/to/guestbook")
os.chdir("/path/to/guestbook")
# The rewriting in .htaccess renames this header, and adds the name of this file to each address.
if "REDIRECT_HTTP_AUTHORIZATION" in os.environ:
    os.environ["HTTP_AUTHORIZATION"] = os.environ["REDIRECT_HTTP_AUTHORIZATION"]
os.environ["SCRIPT_NAME"] = os.environ.get("SCRIPT_NAME", "").removesuffix("/index.cgi")

from guestbook import create_app  # noqa: E402  the path comes first

CGIHandler().run(create_app())
# Apache answers only after all of the body was read, even if the book has refused it.
while sys.stdin.buffer.read(65536):
    pass
