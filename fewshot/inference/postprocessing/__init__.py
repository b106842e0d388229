"""What improves a head's answer after the fact, by the ways in which people group what they see.

One cue a file: similarity, proximity, common region and continuity (walker, cut), symmetry (flip),
common fate (depth); and what stays of the result (parts). `settings.PostprocessSettings` switches
them on, `pipeline.postprocess` applies them in one order. docs/refinement.md tells what
each does for how much time.
"""
