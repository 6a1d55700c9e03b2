"""The queue on a real server: scripts, gate, records, sweeper, with stock arq workers."""
