"""Train several agents on one task and report them side by side."""
