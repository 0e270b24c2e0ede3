"""APPS: problems from the official folders, packed JSON lines or the hub."""
