"""A tuned model served to other programs on this machine, in OpenAI's protocol, by mlx-lm's own server."""
