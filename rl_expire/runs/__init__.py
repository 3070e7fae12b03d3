"""Run folders: the files that training writes, and reads back to resume."""
