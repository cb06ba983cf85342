"""Settings: the pages of what belongs to no run, each of which reaches what it steers at once."""
