"""Code that all stores share: reading and writing in parts, errors, options."""
