"""What bankimport costs, beside stock arq on the same server in the same run: one file a question (README.md)."""
