"""The queue: jobs and the scripts that move them, their records and leases, the gate that arq works through."""
