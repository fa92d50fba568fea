"""`make tour`: writes docs/tour.md and takes its pictures from the demo, so that they show the present screens."""
