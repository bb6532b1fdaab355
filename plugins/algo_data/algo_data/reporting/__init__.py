"""Reports of data commands: results, progress, summaries, failures."""
