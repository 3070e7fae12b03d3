"""Export a policy: the graph of its step, its model card, the Hub."""
