# Where click's context keeps the words of the command.
WORDS = "fcnkit.words"
