"""The versions of the schema, one file each; a published one never changes."""
