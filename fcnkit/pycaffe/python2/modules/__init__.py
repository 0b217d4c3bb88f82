"""Modules of Python 2 that Python 3 has otherwise, or no more, by their old names.

Those that are today's as well take text for bytes, as their functions did.
"""
