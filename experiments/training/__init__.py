"""From the options of a training command to its run folder: the same path for every task."""
