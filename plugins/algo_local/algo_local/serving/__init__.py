"""Serving: the application on real sockets, and the callback endpoint of running algorithms."""
