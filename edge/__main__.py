"""``python -m edge`` is the console script."""

from edge.cli import main

main()
