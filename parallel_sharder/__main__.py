"""`python -m parallel_sharder`. Imported again by every spawned worker, so it does nothing then."""

if __name__ == "__main__":
    import sys

    from parallel_sharder.cli.main import main

    sys.exit(main())
