"""The processes of one served platform: the parent, its front ends, and the engine that executes calls."""
