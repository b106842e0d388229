"""U-Net, FCN and Mask R-CNN, trained on the annotated images or on a full training set.

A network is one file: a class that registers by `register_predictor` and follows `DeepPredictor`.
"""
