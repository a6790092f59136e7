"""What bench/run is made of: rows (what is run), build, session (running), table (printing)."""
