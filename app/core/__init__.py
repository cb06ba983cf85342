"""What is true without a screen or a GPU: config, checks, targets, data sets, events, run folders."""
