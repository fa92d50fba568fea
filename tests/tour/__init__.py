"""`make tour`: docs/tour.md and its pictures, taken from the demo, so that they show the screens of today."""
