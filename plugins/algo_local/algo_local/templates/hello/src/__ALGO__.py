"""Greets whoever the input names."""

import json


def apply(input):
    return "Hello " + (str(input) if isinstance(input, (str, bytes, bytearray)) else json.dumps(input))
