"""Runs a trained net on images: scores, classes, and pictures of both."""
