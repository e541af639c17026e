"""The address space: mappings, their contents, and struct mm."""
