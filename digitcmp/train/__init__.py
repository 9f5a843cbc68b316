"""The one training loop, its loss and its evaluation. Rounds are an axis in front of every tensor."""
