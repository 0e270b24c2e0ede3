"""Test-time inference (`inference=`): plain sampling, best-of-n and critic sampling."""
