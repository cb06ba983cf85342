"""The computer's power: kept awake while it works, put to sleep after it, its battery and its heat."""
