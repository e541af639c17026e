"""Test descriptions beside the programs in static/ and transition/ are pytest items."""

pytest_plugins = ["zdtm.pytest_plugin"]
