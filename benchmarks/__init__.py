"""What recordfirst costs, measured beside what else one could use."""
