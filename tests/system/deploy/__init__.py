"""The files of deploy/, each run by the server that it is for."""
