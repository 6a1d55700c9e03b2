"""The tests, as a package so that they can share `tests.processes` and `tests.waiting` under one name."""
