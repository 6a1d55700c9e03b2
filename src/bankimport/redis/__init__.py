"""How we talk to Redis: connections, the deadline of a call, the names of keys, scripts and the line they travel in."""
