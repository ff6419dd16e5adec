"""Command line: the console script ``edge``. Commands are imported on first use."""
