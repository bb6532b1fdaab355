import Algorithmia


def load():
    """Called once, before the first request; what it returns becomes the second argument of apply."""
    return {"greeting": "hello"}


def apply(input, state):
    """Called for each request, with its input."""
    return "{} {}".format(state["greeting"], input)


# Waits for requests; only the platform starts this file.
Algorithmia.handler(apply, load).serve()
