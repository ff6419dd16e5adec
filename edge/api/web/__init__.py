"""The status page and /metrics: what the daemon sees and how it does, for a browser and for Prometheus.

Served by the endpoint's own thread. The pipeline pays one look at an empty dict a frame while nobody watches.
"""
