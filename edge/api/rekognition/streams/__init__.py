"""edge/api/rekognition/streams."""
