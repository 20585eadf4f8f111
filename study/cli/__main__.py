"""`python -m study.cli`, for clusters where the `cpc` script is not on the path."""

from study.cli import main

if __name__ == "__main__":
    main()
