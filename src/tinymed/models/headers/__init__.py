"""Headers of files that came from outside, checked before native code sees them."""
