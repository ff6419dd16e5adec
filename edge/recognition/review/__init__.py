"""Doubtful matches waiting for a person, what was answered, and what answers hold away from a name."""
