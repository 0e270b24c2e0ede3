"""Test text and comparison of values: code of a process of its own, isolated like a program's.

The grader has the tests and the expected values and talks to the program's process over a channel; the worker, which
decides and keeps the clocks, runs none of it. The code is trusted; what test text does with a program's answer is not.
"""
