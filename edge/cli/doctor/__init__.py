"""Diagnosis of this device: findings with cause and hint, as errors have them."""
