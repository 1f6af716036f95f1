"""`python -m drive_rl` is `drive-rl`."""

from drive_rl.cli.main import main

main()
