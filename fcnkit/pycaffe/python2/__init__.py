"""Scripts of Python 2, which today's Python runs converted; the files stay as they are.

`signs` says what a script is, `convert` and `fixes` make Python 3 of it line for line,
`names`, `pickles` and `strings` are what the result imports, `reading` does it to the script
and to the modules of its own.
"""
