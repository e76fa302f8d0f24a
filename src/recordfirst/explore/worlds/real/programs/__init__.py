"""What runs as a program of its own: everybody outside, the server that forks, the workers; and how they are begun."""
