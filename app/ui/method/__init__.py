"""Methods, their parameters and their rewards."""
