"""The platform's API: requests in, responses out."""
