"""The page of the fleet: devices, events, people and releases in a browser, and Prometheus metrics."""
