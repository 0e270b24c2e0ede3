"""What is made of many programs at test time (`inference=`): plain sampling, the best of n, critic sampling."""
