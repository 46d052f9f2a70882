"""The metadata table and the four tables beside it: the truth about every image, and the queue."""
