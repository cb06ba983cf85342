"""Training measured: by stock mlx-lm's own trainer or by this one, each epoch's seconds and the peak memory."""
