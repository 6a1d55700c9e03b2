"""What all workers keep in Redis for the ports: the ledger of reads, the notes of runs, the tokens of providers."""
