"""The sampling engine (`generation=native`). It keeps many rows in one decode step, replaces those that end, and holds
the keys and values of each prompt once."""
