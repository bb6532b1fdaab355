"""Installing plugins: where `algo` itself is installed, what would change, and plugins in environments of their own."""
