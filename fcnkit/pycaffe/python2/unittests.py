"""The names that unittest dropped in Python 3.12, for as long as a script runs."""

import unittest
from collections.abc import Iterator
from contextlib import contextmanager

_NAMES = {
    "assertAlmostEquals": "assertAlmostEqual",
    "assertEquals": "assertEqual",
    "assertItemsEqual": "assertCountEqual",
    "assertNotAlmostEquals": "assertNotAlmostEqual",
    "assertNotEquals": "assertNotEqual",
    "assertNotRegexpMatches": "assertNotRegex",
    "assertRaisesRegexp": "assertRaisesRegex",
    "assertRegexpMatches": "assertRegex",
    "assert_": "assertTrue",
    "failIf": "assertFalse",
    "failIfEqual": "assertNotEqual",
    "failUnless": "assertTrue",
    "failUnlessEqual": "assertEqual",
    "failUnlessRaises": "assertRaises",
}


@contextmanager
def old_assertions() -> Iterator[None]:
    """In the block a TestCase has them, as far as it has them no more."""
    case = unittest.TestCase
    missing = [name for name in _NAMES if not hasattr(case, name)]
    for name in missing:
        setattr(case, name, getattr(case, _NAMES[name]))
    try:
        yield
    finally:
        for name in missing:
            delattr(case, name)
