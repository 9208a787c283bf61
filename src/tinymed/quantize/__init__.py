"""Making builds, and the gate that compares each with the model it was made from."""
