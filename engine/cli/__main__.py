"""`python -m engine.cli` is `tocsin`."""

from engine.cli import main

main()
