"""The demo: a throwaway book with a server, passes and a bin, and a tour of it in one minute."""
