"""The verb that holds Luthier against stock mlx-lm on this machine."""
