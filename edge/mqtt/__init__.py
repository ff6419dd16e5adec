"""The wire: topics, messages, and the client that survives brokers."""
