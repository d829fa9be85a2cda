"""Paste this into the WSGI file that the tab "Web" links, and change the name of the account."""

import os
import sys

os.chdir("/home/you/guestbook")
sys.path.insert(0, "/home/you/guestbook")

from guestbook import create_app  # noqa: E402  the path comes first

application = create_app()
