"""`python -m algo_core` is `algo`."""

from algo_core.main import main

main()
