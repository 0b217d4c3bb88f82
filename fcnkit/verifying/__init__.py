"""Two nets compared: what they compute, what that shows, and what it could hide."""
