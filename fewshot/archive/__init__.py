"""Folders of images, one after another: nothing is lost, and a stopped run goes on."""
