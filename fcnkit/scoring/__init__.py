"""Measures how well predictions match labels."""
