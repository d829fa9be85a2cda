"""Settings of gunicorn. Start it in the checkout: .venv/bin/gunicorn -c deploy/gunicorn/gunicorn.conf.py"""

wsgi_app = "guestbook:create_app()"
chdir = "/path/to/guestbook"
bind = "127.0.0.1:8080"
workers = 2
threads = 4
# A worker that waits for a slow client serves nobody else, so keep nginx in front of it.

# The book below a path: remove the "# " from the next line.
# raw_env = ["SCRIPT_NAME=/guestbook"]
