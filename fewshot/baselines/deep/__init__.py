"""Networks that are trained on the annotated images, or on a full training set: U-Net, FCN, \
Mask R-CNN.

A network is one file: a class that registers by `register_predictor` and follows `DeepPredictor`.
"""
