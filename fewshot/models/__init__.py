"""The encoder, the heads, the network made of both, and how they are saved."""
