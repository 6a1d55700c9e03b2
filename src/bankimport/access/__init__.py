"""A connection's access to its bank as pure decisions: values in, values out; no clock, no random, no I/O.

`consents` who must authorise again · `authorisations` what a bank's callback means · `attendance` whether the person is
there · `budget` when a bank may be asked without them (banking.md §5) · `health` how a connection is, in one word.
"""
