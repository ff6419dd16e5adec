"""The status page and /metrics, for browsers and Prometheus.

Served by the endpoint's thread. Without viewers, the pipeline only checks an empty dict per frame.
"""
