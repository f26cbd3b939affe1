"""``python -m starwire``: the command line, whichever ``starwire`` the shell would find."""

from starwire.cli import main

if __name__ == "__main__":
    main()
