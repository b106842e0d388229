"""Generated tasks: endless classes that look like anatomy, microscopy, or composed pictures."""

from episodes.synthetic.emoji import EmojiSampler, EmojiSettings
from episodes.synthetic.sampler import SyntheticSampler, SyntheticSettings

__all__ = ["EmojiSampler", "EmojiSettings", "SyntheticSampler", "SyntheticSettings"]
