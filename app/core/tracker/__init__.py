"""Trackers: a run's figures given to TensorBoard, wandb or trackio, live or afterwards. Add a tracker here."""
