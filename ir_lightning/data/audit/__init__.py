"""What is wrong with a data set, and what is publicly known of it."""
