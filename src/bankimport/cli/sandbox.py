"""`bankimport sandbox`: a bank to develop against."""
