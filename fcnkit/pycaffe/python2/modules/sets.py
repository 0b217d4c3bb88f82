"""The module sets."""

Set, ImmutableSet = set, frozenset
