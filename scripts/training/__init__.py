"""Training of the starter face models: data, nets, losses, conversion and cards."""
