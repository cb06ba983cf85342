"""The process that works: one per task, MLX inside, events out on stdout, commands in on stdin."""
