"""How close the whole cycle is to its floor: the daemon's own ``pipeline.process`` beside the bare invokes."""
