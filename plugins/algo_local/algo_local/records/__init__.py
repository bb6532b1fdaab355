"""The record of calls: caller, algorithm, input, outcome, and retention."""
