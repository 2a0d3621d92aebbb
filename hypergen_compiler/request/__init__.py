"""From the words that a person types, or a project's table holds, to a model, example batches and settings."""
