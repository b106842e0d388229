"""What improves a head's answer after the fact, by the ways in which people group what they see.

One cue a file: similarity, proximity, common region and continuity (walker, cut), symmetry (flip),
common fate (depth); and what stays of the result (parts). `settings.RefineSettings` switches them
on, `order.refine` applies them in one order. docs/refinement.md says what each does for how much
time.
"""
