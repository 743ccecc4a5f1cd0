"""What benches/run.py makes of the figures."""
