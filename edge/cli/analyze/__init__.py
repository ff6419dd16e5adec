"""Stored videos and pictures through the daemon's own pipeline, as fast as the machine allows.

``analysis`` runs it, ``appearances`` remembers who was there and when, ``page`` and ``annotated`` show it to people.
"""
