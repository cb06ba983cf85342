"""The speed table: Luthier against stock mlx-lm on one machine, in ratios, with nothing in it that is private."""
