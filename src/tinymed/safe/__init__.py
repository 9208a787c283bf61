"""The safe answer: gates before and after the model, and "cannot tell" where they close."""
