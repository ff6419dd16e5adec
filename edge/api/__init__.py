"""HTTP services of the device: the Rekognition and S3 endpoints, and the status page."""
