"""Where systems differ: keys as they write them, boxes and title bars, and what was asked of all programs."""
