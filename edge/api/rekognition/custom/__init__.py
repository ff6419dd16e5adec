"""Custom labels of the endpoint: projects, their datasets and versions, and the training thread."""
