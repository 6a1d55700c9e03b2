"""`python -m bankimport` is the command `bankimport`."""

import sys

from bankimport.cli import main

sys.exit(main())
