"""Amazon S3's protocol for the bucket folders, on the endpoint's port."""
