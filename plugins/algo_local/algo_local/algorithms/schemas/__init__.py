"""JSON schemas of the inputs and outputs of algorithms."""
