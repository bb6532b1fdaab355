"""Everything that `algo` needs at Acme: the profile, the CA, the archive, the help desk."""
