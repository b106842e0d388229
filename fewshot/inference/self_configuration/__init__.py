"""A segmenter that chooses its own method from the annotated images: candidates, evidence, choice.

`views` computes what candidates see of an image, each feature once; `candidates` holds the methods
that are tried, one file each; `evidence` measures them on what is annotated; `configuration` weighs
them. `fewshot.inference.predictors.self_configuring` puts these together.
"""
