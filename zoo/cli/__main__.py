"""`python -m zoo.cli`."""

from zoo.cli.main import main

main(prog_name="zoo")
