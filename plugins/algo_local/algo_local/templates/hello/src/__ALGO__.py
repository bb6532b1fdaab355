"""Greets whoever the input names."""


def apply(input):
    return "Hello " + str(input)
