"""Whether the promises are tested with their big numbers: `make soak`, in place of the slice that CI runs."""

import os

SOAK = os.environ.get("BANKIMPORT_SOAK") == "1"
