"""Where frames come from. ``open`` gives the source a camera's settings name, ``reconnecting`` keeps it alive."""
