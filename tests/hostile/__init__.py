"""Hostile inputs made by program, and what each must come to."""
