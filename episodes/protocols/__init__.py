"""Published evaluation protocols, one a file: what is trained on, what is tested, how it is summed.

| module | protocol |
|---|---|
| `contract` | what a protocol is: training catalog, test cases, their hash |
| `score` | from counted pixels to the number that a protocol reports |
| `alpnet`, `adnet` | organs in volumes, three support slices for three chunks of the query |
| `full_volume` | every slice of the query, without its truth choosing slices |
| `pascal5i` | PASCAL-5i and COCO-20i as PANet, HSNet and PFENet test them |
| `fss1000` | 520, 240 and 240 classes |
| `omniglot_within_alphabet` | the 20 one-shot runs of Lake et al., and n-way k-shot trials |
| `verification` | pairs: same subject or not |
"""
