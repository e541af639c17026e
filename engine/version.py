"""Versions: Amber's own, and that of the CRIU whose command line and images it speaks."""

VERSION = "0.1.0"
CRIU_VERSION = "4.2"
