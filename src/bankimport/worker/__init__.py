"""The worker: the settings class for stock arq, the wrapper around jobs, and what runs beside them."""
