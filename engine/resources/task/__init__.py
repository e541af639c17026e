"""What a task is, apart from its memory and files."""
