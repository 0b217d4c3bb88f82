"""How well predictions match labels."""
