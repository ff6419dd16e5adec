"""Diagnosis of this device: findings with causes and remedies."""
