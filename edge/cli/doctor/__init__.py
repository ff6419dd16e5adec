"""What is wrong with this device, in the words of the errors: what, why, and what to try."""
