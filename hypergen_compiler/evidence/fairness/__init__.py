"""The experiment `fairness`: a rare class, and weights for the share of it that is asked for."""
