"""`python -m fireweed`."""

from fireweed.entry import main

main()
