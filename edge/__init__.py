"""One door unit: what it reads, what it decides alone, and what it does with its pins."""
