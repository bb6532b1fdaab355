"""What several areas of tests share; pytest puts `tests` on the path."""
