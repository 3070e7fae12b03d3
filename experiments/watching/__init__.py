"""Parts of `watch`."""
