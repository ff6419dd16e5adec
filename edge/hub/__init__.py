"""The hub of a fleet: stores events, acknowledges them, signs and sends commands, publishes releases."""
