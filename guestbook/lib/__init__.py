"""Small pieces that know nothing of a guestbook."""
