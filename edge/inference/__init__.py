"""Models, what runs them, and what their tensors mean."""
