"""From the words of a command line to a call that is ready to run."""
