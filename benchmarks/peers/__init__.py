"""Fireweed and its peers, each as small programs that measure one setting in a process of their own."""
