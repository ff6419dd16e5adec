"""Custom labels behind the endpoint: projects, their datasets and versions, and the thread that trains."""
