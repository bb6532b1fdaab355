"""Many calls from one command: inputs, a pool of concurrent calls, and a journal of results."""
