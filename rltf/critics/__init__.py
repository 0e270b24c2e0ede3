"""Critics (`critic=`): networks that predict how a program ends or what it earns, and learn from every iteration."""
