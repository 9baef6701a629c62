"""Nets: the named ones, those written as a line of text, and what each of their layers costs."""
