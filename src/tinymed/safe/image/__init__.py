"""The gates that look at the image: quality, a photo of a film, writing, scope."""
