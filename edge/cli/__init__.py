"""The door: one console script, ``edge``. Commands are imported when they are called."""
