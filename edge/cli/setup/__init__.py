"""``edge setup``: answers to its questions, and the settings file that is written from them."""
