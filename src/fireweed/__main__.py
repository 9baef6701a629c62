"""`python -m fireweed`."""

from fireweed.cli import main

main()
