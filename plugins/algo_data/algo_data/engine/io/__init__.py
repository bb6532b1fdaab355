"""Input and output: blocks, streams, checksums."""
