"""`python -m drive_rl` is `drive-rl`."""

from drive_rl.cli import main

main()
