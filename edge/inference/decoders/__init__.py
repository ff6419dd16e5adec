"""Decoders turn output tensors into candidates."""
