"""A whole deployment of real processes: HTTP in, rows and events out. Reads like documentation."""
