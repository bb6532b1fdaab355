"""The relay between front ends and the engine that executes their calls: messages, and both ends."""
