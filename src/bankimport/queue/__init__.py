"""The queue: records and their scripts, the gate that arq works through, leases, health."""
