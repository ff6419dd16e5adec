"""From detections to tracks, and from votes to identities."""
