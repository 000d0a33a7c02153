"""Run the command line: ``python -m autorec_d2l``."""

from autorec_d2l.cli import main

if __name__ == "__main__":
    main()
