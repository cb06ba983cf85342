"""A replica's own process, which computes its shares, and the check of the hosts that replicas would be on."""
