"""Running: transfers carried out by threads and processes."""
