"""Make the runs behind the results of the documentation, and write its numbers from them."""
