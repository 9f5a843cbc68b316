"""A page on this machine to draw two digits on, and what kept networks say of them."""
