"""What data commands report: results, progress, summaries, failures."""
