"""`python -m tppc`, which is what torchrun starts."""

from tppc.cli import main

if __name__ == "__main__":
    main()
