import gc

# Loading all modules makes hundreds of thousands of objects and almost no garbage. With the default of 700, looking for
# garbage takes a fifth of the start of each process.
gc.set_threshold(10_000)
