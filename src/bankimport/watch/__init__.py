"""The queue as operators see it: health, alerts and figures, and the housekeeping that one worker does for all."""
