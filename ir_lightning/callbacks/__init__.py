"""Lightning callbacks that conf/callbacks/ chooses."""
