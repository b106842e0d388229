"""Mining: selects the pairs and triplets of a loss, as dense masks or weights.

A batch of n items has some n^3 triplets. None of these functions lists them: each gives the pairs,
[anchor reference], with the number (or share) of the chosen triplets that a pair is in. A triplet
loss is linear in the distances of its active triplets, so these weights are all that it needs.
"""
