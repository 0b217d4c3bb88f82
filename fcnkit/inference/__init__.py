"""What a trained net says of images: scores, classes, and pictures of both."""
