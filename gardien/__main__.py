"""So that `python -m gardien` is the command line too."""

from gardien.main import main

if __name__ == "__main__":
    main()
