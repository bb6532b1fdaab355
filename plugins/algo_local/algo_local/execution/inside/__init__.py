"""Programs that run inside the interpreter of an algorithm: its supervisor, its runner, and forks of it."""
