"""CRIU's command line: the table of its options, getopt's way of reading them, configuration files, usage."""
