"""The judge: knows tests and expected values, decides what becomes of each test.

Runs in the workers and is trusted. Programs are never loaded here, and what their processes send is data to be checked:
values, never verdicts. Test text runs here, with stand-ins for the program's objects.
"""
