"""The hand-off that may not drop: events wait here, on disk, until they are delivered."""
