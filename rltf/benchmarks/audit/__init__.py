"""What the tests of a benchmark are worth: its references and mutants of them, judged by its tests."""
