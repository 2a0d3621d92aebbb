"""The experiment `autophagy`: models that learn from what models before them generated."""
