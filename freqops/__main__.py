"""`python -m freqops` is the command `freqops`."""

from freqops.cli import main

if __name__ == "__main__":
    main()
