"""The record of calls: what was called by whom, with what, what came of it, and for how long that is kept."""
