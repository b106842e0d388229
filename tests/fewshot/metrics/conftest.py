from hypothesis import settings

# A busy machine is no failure; and the same examples at every run.
settings.register_profile("metrics", deadline=None, derandomize=True)
settings.load_profile("metrics")
