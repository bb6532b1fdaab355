"""The HTTP/1.1 server: connections, requests and responses as bytes, and limits for clients."""
