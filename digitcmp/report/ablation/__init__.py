"""Reports on an ablation ladder: runs that lead from one configuration to another, one change at a time."""
