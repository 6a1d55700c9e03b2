"""Import bank transactions in the background, reliably, for many organisations, under PSD2."""
