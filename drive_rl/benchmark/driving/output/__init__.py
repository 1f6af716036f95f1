"""What the benchmark of drivers prints and writes: tables, files and a page."""
