"""The demo: a tour of a throwaway book with a server, a pass and a bin, in one minute."""
