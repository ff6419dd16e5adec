"""The fleet's side: events are stored, devices are told how far, commands are signed and sent."""
