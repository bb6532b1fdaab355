"""The platform's API as a WSGI application."""
