"""Networks that say how a program will end, or what it will earn (`critic=`), and the divergence from a frozen policy:
what credit of single tokens reads, and what learns from every harvest."""
