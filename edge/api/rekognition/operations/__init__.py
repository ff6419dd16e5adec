"""The operations of Amazon Rekognition: which are here, how much of each, and which are not."""
