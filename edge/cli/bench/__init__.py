"""Benchmark of the pipeline, compared with bare inference of its models."""
