"""Publishing for a fleet: the draft of the next release, the signed repository, and rollouts."""
