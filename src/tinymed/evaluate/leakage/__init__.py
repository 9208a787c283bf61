"""What the samples of an evaluation share with the samples a model was trained on."""
