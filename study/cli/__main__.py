"""`python -m study.cli`, for clusters where the `cpc` script is not on the path."""

from __future__ import annotations

import sys

try:
    from study.cli import main
except ModuleNotFoundError as error:
    sys.exit(f"{sys.executable} lacks the package {error.name}: install cpc-study's dependencies")

if __name__ == "__main__":
    main()
