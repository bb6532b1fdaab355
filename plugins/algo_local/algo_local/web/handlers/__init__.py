"""The handlers of the operations, one module per kind of object."""
