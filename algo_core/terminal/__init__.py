"""Everything a person sees or types: output, prompts, global options, signals."""
