"""Everything around runs, from another terminal: how far they are, finding, comparing, repeating and removing them. Imports no torch, but
where rounds are trained again."""
