"""What Passenger loads, as on cPanel. It lies in the application root, beside the folder `guestbook`."""

from guestbook import create_app

application = create_app()
