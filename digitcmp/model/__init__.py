"""One declarative pair network and its parts."""
