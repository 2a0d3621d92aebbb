"""`hypergen audit`: what a trained model makes of the groups in its data, and of its own samples."""
