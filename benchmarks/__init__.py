"""What the program costs, measured beside what the machine itself costs. See README.md."""
