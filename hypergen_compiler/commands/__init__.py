"""The commands behind `hypergen`, and what a person sees of their results."""
