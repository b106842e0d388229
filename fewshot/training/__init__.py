"""The visible episodic loop, its loss, its log and its checkpoints."""
