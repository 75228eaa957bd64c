"""What people look at: the pages, in Flask."""
