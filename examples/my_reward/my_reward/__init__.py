"""Reward terms of my own."""
