"""`python -m study.cli`, for clusters where the `cpc` script is not on the path."""

from __future__ import annotations

from study.cli import main

if __name__ == "__main__":
    main()
