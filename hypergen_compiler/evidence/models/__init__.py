"""The generative models that the experiments compile: modules like any user's, with a loss and a sampler."""
