"""What ``scripts/bench`` measures beside ``edge bench``, and how it draws it."""
