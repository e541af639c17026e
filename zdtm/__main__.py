"""`python -m zdtm` is `zdtm`."""

import sys

from .cli import main

sys.exit(main())
