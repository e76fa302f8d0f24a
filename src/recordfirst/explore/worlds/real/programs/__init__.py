"""The programs of a real world: the outside, the fork server and the workers; and how they are started."""
