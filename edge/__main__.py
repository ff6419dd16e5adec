"""``python -m edge`` is the console script."""

from edge.cli.main import main

main()
