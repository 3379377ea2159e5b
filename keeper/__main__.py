"""`python -m keeper`."""

from keeper.cli.main import main

if __name__ == "__main__":
    main()
