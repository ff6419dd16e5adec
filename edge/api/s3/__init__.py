"""Amazon S3's protocol for the folders that stand for buckets, on the endpoint's port."""
