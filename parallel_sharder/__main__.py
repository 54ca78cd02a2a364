"""The command line as `python -m parallel_sharder`. Every spawned worker imports it again; then it does nothing."""

if __name__ == "__main__":
    import sys

    from parallel_sharder.cli.main import main

    sys.exit(main())
