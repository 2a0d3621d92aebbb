"""The demonstration: compile the bundled VAE, train its hypernetwork, export plain weights, look at what they make."""
