"""The operations of Amazon Rekognition, and which of them are supported."""
