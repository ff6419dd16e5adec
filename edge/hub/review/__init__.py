"""Review questions of the fleet: copies of what devices share, grouped by face, and the answers on their way back."""
