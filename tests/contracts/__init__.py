"""The same promises on every adapter."""
